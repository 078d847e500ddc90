/** The page's own signs: 16 units square, drawn in the colour of the text beside them. */

import type { ReactNode } from "react";

const SHAPES = {
  overview: (
    <path d="M2.5 2.500h4.500v6H2.500zM9 2.500h4.500v3.500H9zM9 8.500h4.500v5H9zM2.5 11h4.500v2.500H2.500z" />
  ),
  runs: <path d="M3 4h2m3 0h5M3 8h5m3 0h2M3 12h3.500m3 0H13" />,
  events: <path d="M9 1.8 3.5 9H8l-1 5.200L12.5 7H8z" />,
  trees: (
    <path d="M8 2.500v3m0 0H4v3m4-3h4v3M4 8.500v0M2.5 9.500h3v3h-3zm8 0h3v3h-3zM6.5 2h3v2h-3z" />
  ),
  approvals: (
    <path d="M2.5 8.500V4A1.5 1.5 0 0 1 4 2.500h8A1.5 1.5 0 0 1 13.5 4v8a1.5 1.5 0 0 1-1.5 1.500H7M2 11.500l1.8 1.800L7 10" />
  ),
  triggers: <path d="M6.5 2.500v3m3-3v3M4.5 5.500h7v2.500a3.5 3.5 0 0 1-7 0zM8 11.500v2.5" />,
  keys: <path d="M2 4.500h12v7H2zM4.500 7h.01M7 7h.01M9.500 7h.01M11.800 7h.01M5 9.300h6" />,
  more: <path d="M3.500 8h.01M8 8h.01M12.500 8h.01" />,
  sun: (
    <path d="M8 5.200a2.8 2.8 0 1 1 0 5.6 2.8 2.8 0 0 1 0-5.600M8 1.500v1.300m0 10.400v1.300M1.5 8h1.300m10.4 0h1.300M3.4 3.400l.9.9m7.4 7.4.9.9m0-9.2-.9.9m-7.4 7.4-.9.9" />
  ),
  moon: <path d="M13.5 9.500A5.8 5.8 0 0 1 6.5 2.500a5.8 5.8 0 1 0 7 7z" />,
  system: <path d="M2 3h12v8H2zM6 13.500h4M8 11v2.5" />,
  copy: <path d="M5.5 5.500h8v8h-8zM10.5 5.500v-3h-8v8h3" />,
  check: <path d="m3 8.5 3.3 3.300L13 4.8" />,
  cross: <path d="m4 4 8 8m0-8-8 8" />,
  chevron: <path d="m6 3.5 4.5 4.500L6 12.5" />,
  down: <path d="m3.5 6 4.5 4.500L12.5 6" />,
  back: <path d="M10 3.5 5.5 8l4.5 4.5" />,
  leave: <path d="M9.500 5V2.500h-7v11h7V11M6.500 8h7m-2.500-2.500L13.500 8 11 10.500" />,
  outside: <path d="M9 2.500h4.500V7M13.5 2.5 8 8M7 3.500H3v9.500h9.500V9" />,
  send: <path d="M13.5 2.5 7 9m6.5-6.500L9.5 13.5 7 9 2.5 6.500z" />,
  forward: <path d="m3 4 4.5 4L3 12zm6 0 4.5 4L9 12z" />,
  play: <path d="M5 3.2 12.5 8 5 12.800z" />,
  connections: (
    <path d="M6.5 9.5 9.500 6.500M5 7 3.300 8.700a2.8 2.800 0 0 0 4 4L9 11m2-2 1.700-1.700a2.8 2.800 0 0 0-4-4L7 5" />
  ),
  replay: <path d="M3 8a5 5 0 1 0 1.6-3.600L3 6m0-3.500V6h3.5" />,
  search: <path d="M7 2.500a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9m3.3 7.8 3.2 3.2" />,
  plus: <path d="M8 3v10M3 8h10" />,
  stop: <path d="M4 4h8v8H4z" />,
  undo: <path d="M3 6.500h7a3.2 3.2 0 0 1 0 6.500H6M3 6.5 6 3.500M3 6.500l3 3" />,
  redo: <path d="M13 6.500H6A3.2 3.2 0 0 0 6 13h4M13 6.500l-3-3m3 3-3 3" />,
  trash: <path d="M2.5 4.500h11M6 4.500v-2h4v2m2 0-.6 9H4.600L4 4.500m2.5 3v4m3-4v4" />,
  wrap: <path d="M2.5 2.500h11v11h-11zM6 6h4v4H6z" />,
  across: <path d="M2 8h3m6-4h3m-3 8h3M5 8h2.500m0 0V4H11M7.5 8v4H11" />,
  downward: <path d="M8 2v3M4 11v3m8-3v3M8 5v2.500m0 0H4V11m4-3.500h4V11" />,
  up: <path d="m3.5 10 4.5-4.5 4.5 4.5" />,
  fit: <path d="M2.5 6V2.500H6M10 2.500h3.500V6m0 4v3.500H10m-4 0H2.500V10" />,
  alert: <path d="M8 2 14.5 13.500h-13zM8 6.500v3.200m0 1.800v.1" />,
  clock: <path d="M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2m0 2.800V8l2.2 1.5" />,

  // What nodes do.
  sequence: <path d="M3 3.500h.01M3 8h.01M3 12.500h.01M6 3.500h7.500M6 8h7.500M6 12.500h7.5" />,
  fallback: <path d="M2.5 4h4l3 8h4m0 0-2-2m2 2-2 2M2.5 12h2" />,
  parallel: <path d="M2.5 8h2.500m0-4.500v9M5 3.500h8.500M5 8h8.500M5 12.500h8.5" />,
  branch: <path d="M8 2 14 8l-6 6-6-6z" />,
  loop: <path d="M4 5.500h7a2.5 2.5 0 0 1 0 5H4m0-5 2-2m-2 2 2 2m5 3-2 2" />,
  shield: <path d="M8 2 13 4v4c0 3-2.2 5-5 6-2.8-1-5-3-5-6V4z" />,
  delay: <path d="M4 2.500h8M4 13.500h8M5 2.500c0 3 6 5 6 11m0-11c0 3-6 5-6 11" />,
  wait_for: <path d="M2.5 8a5.5 5.5 0 0 1 11 0M5 8a3 3 0 0 1 6 0M8 8v5.500m-2-2 2 2 2-2" />,
  mail: <path d="M2 4h12v8.500H2zm0 .5 6 4.5 6-4.5" />,
  call: <path d="M2.5 8h8m-3-3.500L11 8l-3.5 3.500M13.5 3v10" />,
  database: <path d="M3 4c0-2 10-2 10 0s-10 2-10 0m0 0v8c0 2 10 2 10 0V4M3 8c0 2 10 2 10 0" />,
  set: <path d="M3 5.500h10M3 10.500h10" />,
  log: <path d="M3 3.500h10M3 6.500h7M3 9.500h9M3 12.500h5" />,
  tree: <path d="M6 2.500h4v3H6zM2.5 10.500h4v3h-4zm7 0h4v3h-4zM8 5.500V8m-3.5 2.500V8h7v2.5" />,
} satisfies Record<string, ReactNode>;

export type IconName = keyof typeof SHAPES;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      strokeWidth={1.5}
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
      className="icon"
    >
      {SHAPES[name]}
    </svg>
  );
}
