import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// HUB_URL: the hub that the development server (npx vite) takes its data from.
const hub = process.env.HUB_URL ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [react()],
  build: {
    outDir: process.env.HUB_WEB_DIR ?? "../hub/web",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: { checks: { pluginTimings: false } },
  },
  server: { proxy: { "/api": hub, "/hooks": hub, "/readyz": hub, "/dev": hub } },
});
