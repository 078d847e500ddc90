import type { AnchorHTMLAttributes } from "react";
import { go } from "../address";

/** A link within the page; with a modifier key it opens as any other link would. */
export function Link({
  href,
  onClick,
  ...rest
}: AnchorHTMLAttributes<HTMLAnchorElement> & { href: string }) {
  return (
    <a
      {...rest}
      href={href}
      onClick={(event) => {
        onClick?.(event);
        const isPlain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey;
        if (!isPlain || event.defaultPrevented) return;
        event.preventDefault();
        go(href);
      }}
    />
  );
}
