/** Who is signed in. Every part of the page asks here, and hears of it when that ends. */

import { useEffect, useSyncExternalStore } from "react";
import { hub, onUnauthorized, Problem, setCsrf } from "./api/client";
import type { Permission, Session } from "./api/types";

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

/** Whether the hub would let them; it asks for itself whatever the page offers. */
export function may(session: Session | undefined, what: Permission): boolean {
  return !!session?.may.includes(what);
}

/** Asks for the one who is signed in. */
export function useMay(): (what: Permission) => boolean {
  const session = useSession();
  return (what) => may(session, what);
}

/** Why they may not: `It takes the role operator.` */
export function lacking(session: Session | undefined, what: Permission): string {
  const roles = session?.lacks[what];
  return roles?.length ? `It takes the role ${roles.join(" or ")}.` : "This hub has no such thing.";
}
