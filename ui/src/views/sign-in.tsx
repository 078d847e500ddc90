/** Signing in: by a name and a password, or at the provider. */

import { type FormEvent, useState } from "react";
import { Problem } from "../api/client";
import type { Session } from "../api/types";
import { Field } from "../parts/parts";
import { signIn } from "../session";

export function SignInView({ session }: { session: Session }) {
  const query = new URLSearchParams(location.search);
  const isHere = location.pathname === "/sign-in";
  const [problem, setProblem] = useState(isHere ? query.get("problem") : null);
  const [isAsking, setAsking] = useState(false);
  const next = isHere ? "/" : location.pathname + location.search;

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    setAsking(true);
    try {
      await signIn(String(form.get("name")), String(form.get("password")));
      if (isHere) history.replaceState(null, "", "/");
    } catch (error) {
      setProblem(error instanceof Problem ? error.message : String(error));
      setAsking(false);
    }
  }

  const { password, provider } = session.ways;
  return (
    <main className="sign-in" id="main">
      <section className="panel">
        <div className="panel-body">
          <div className="sign-in-brand">
            <img src="/mark.svg" alt="" width={36} height={36} /> Hub
          </div>
          <h1>Sign in</h1>
          {problem && (
            <p className="note bad" role="alert">
              {problem}
            </p>
          )}
          {password && (
            <form onSubmit={submit}>
              <Field label="Name">
                <input
                  type="text"
                  name="name"
                  autoComplete="username"
                  autoCapitalize="none"
                  spellCheck={false}
                  required
                />
              </Field>
              <Field label="Password">
                <input name="password" type="password" autoComplete="current-password" required />
              </Field>
              <button type="submit" className="button primary" disabled={isAsking}>
                Sign in
              </button>
            </form>
          )}
          {provider && (
            <a className="button" href={`/auth/oidc?next=${encodeURIComponent(next)}`}>
              {provider}
            </a>
          )}
          {!password && !provider && (
            <p className="soft">
              Nobody can sign in here yet. <code>hub users create</code> makes a user, and{" "}
              <code>auth:</code> in <code>hub.yaml</code> names a provider.
            </p>
          )}
        </div>
      </section>
    </main>
  );
}
