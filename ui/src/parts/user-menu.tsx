/** Who is signed in, and the way out. */

import { useState } from "react";
import { Problem } from "../api/client";
import type { Session } from "../api/types";
import { signOut } from "../session";
import { Icon } from "./icons";

export function UserMenu({ session }: { session: Session }) {
  const [problem, setProblem] = useState<string | null>(null);
  if (session.how !== "session" || !session.name) return null;
  return (
    <div className="user-menu">
      <div className="grow">
        <div className="clip" title={session.name}>
          {session.name}
        </div>
        <small className="clip" title={session.roles.join(", ")}>
          {session.roles.at(-1) ?? "no role"}
        </small>
      </div>
      <button
        type="button"
        className="icon-button"
        aria-label="Sign out"
        title="Sign out"
        onClick={() =>
          signOut().catch((error) =>
            setProblem(error instanceof Problem ? error.message : String(error)),
          )
        }
      >
        <Icon name="leave" />
      </button>
      {problem && <span role="alert">{problem}</span>}
    </div>
  );
}
