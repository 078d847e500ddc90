/** How much is told of a card: the smaller it is drawn, the less. */

import { useStore } from "@xyflow/react";
import { createContext, type ReactNode, useContext, useRef } from "react";

/** All, its name in large letters, or only its colour. */
export type Detail = "all" | "name" | "colour";

/** Zooms below which less is told; above by a little more, so that it does not flicker. */
const NAMES = 0.46;
const COLOURS = 0.2;
const LATITUDE = 1.06;

export function detailAt(zoom: number, before: Detail): Detail {
  if (zoom < COLOURS * (before === "colour" ? LATITUDE : 1)) return "colour";
  return zoom < NAMES * (before === "all" ? 1 : LATITUDE) ? "name" : "all";
}

const Told = createContext<Detail>("all");

/** Tells all below how much is told: they are drawn anew when that changes, not at each zoom. */
export function Details({ children }: { children: ReactNode }) {
  const before = useRef<Detail>("all");
  const detail = useStore(({ transform }) => {
    before.current = detailAt(transform[2], before.current);
    return before.current;
  });
  return <Told value={detail}>{children}</Told>;
}

export function useDetail(): Detail {
  return useContext(Told);
}
