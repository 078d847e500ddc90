/** Who is signed in. Every part of the page asks here, and hears of it when that ends. */

import { useEffect, useSyncExternalStore } from "react";
import { hub, onUnauthorized, Problem, setCsrf } from "./api/client";
import type { Role, Session } from "./api/types";

let session: Session | undefined;
const listeners = new Set<() => void>();

function keep(next: Session) {
  session = next;
  setCsrf(next.csrf);
  for (const listener of listeners) listener();
}

/** Ask anew. A hub that does not answer leaves what was known. */
async function look() {
  try {
    keep(await hub.session());
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (!session) window.setTimeout(look, 2000);
  }
}

onUnauthorized(() => {
  if (session?.name) look();
});

/** Who is signed in; undefined until the hub has said so. */
export function useSession(): Session | undefined {
  useEffect(() => {
    if (!session) look();
  }, []);
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => session,
  );
}

export async function signIn(name: string, password: string) {
  keep(await hub.signIn(name, password));
}

export async function signOut() {
  await hub.signOut();
  await look();
}

export function may(session: Session | undefined, role: Role): boolean {
  return !!session?.roles.includes(role);
}
