/** Who is signed in, and the way out. */

import { useState } from "react";
import { Problem } from "../api/client";
import type { Session } from "../api/types";
import { signOut } from "../session";

export function UserMenu({ session }: { session: Session }) {
  const [problem, setProblem] = useState<string | null>(null);
  if (session.how !== "session" || !session.name) return null;
  return (
    <div className="user-menu">
      <span className="grow clip" title={session.roles.join(", ")}>
        {session.name}
      </span>
      <button
        type="button"
        className="plain"
        onClick={() =>
          signOut().catch((error) =>
            setProblem(error instanceof Problem ? error.message : String(error)),
          )
        }
      >
        Sign out
      </button>
      {problem && <span role="alert">{problem}</span>}
    </div>
  );
}
