/** Who looks at the page, where nobody signs in: remembered on this machine. */

import { useState } from "react";

const KEY = "hub.person";

export function usePerson(): [string, (person: string) => void] {
  const [person, setPerson] = useState(() => {
    try {
      return localStorage.getItem(KEY) ?? "";
    } catch {
      return "";
    }
  });
  function remember(next: string) {
    setPerson(next);
    try {
      localStorage.setItem(KEY, next);
    } catch {
      // It lasts as long as the page.
    }
  }
  return [person, remember];
}
