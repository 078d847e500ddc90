/** Who looks at the page: who is signed in; where nobody signs in, as remembered on this machine. */

import { useState } from "react";
import { useSession } from "./session";

const KEY = "hub.person";

export function usePerson(): [string, (person: string) => void] {
  const session = useSession();
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
  const isKnown = session?.how === "session" && session.name;
  return [isKnown ? (session.name ?? "") : person, remember];
}
