/** The shell: where one is, where one can go, and the view in between. */

import { Component, lazy, type ReactNode, Suspense, useEffect } from "react";
import { go, useAddress } from "./address";
import { hub } from "./api/client";
import { useResource } from "./api/resource";
import type { Permission, Session } from "./api/types";
import { type Entry, Nav } from "./nav";
import { Icon, type IconName } from "./parts/icons";
import { Link } from "./parts/link";
import { Empty, Page, Panel, Skeleton } from "./parts/parts";
import { UserMenu } from "./parts/user-menu";
import { lacking, may, useSession } from "./session";
import { setTheme, type Theme, useTheme } from "./theme";
import { ApprovalView } from "./views/approval";
import { ApprovalsView } from "./views/approvals";
import { AuditView } from "./views/audit";
import { EventView } from "./views/event";
import { EventsView } from "./views/events";
import { OverviewView } from "./views/overview";
import { RunsView } from "./views/runs";
import { SignInView } from "./views/sign-in";
import { TreesView } from "./views/trees";
import { TriggersView } from "./views/triggers";

const ConnectionsView = lazy(() => import("./views/connections"));
const RunView = lazy(() => import("./views/run"));
const TreeView = lazy(() => import("./views/tree"));

const NAV: Entry[] = [
  ["", "Overview", "overview", "overview.see"],
  ["runs", "Runs", "runs", "run.see"],
  ["approvals", "Approvals", "approvals", "approval.see"],
  ["events", "Events", "events", "event.see"],
  ["trees", "Trees", "trees", "tree.see"],
  ["triggers", "Triggers", "triggers", "trigger.see"],
  ["connections", "Connections", "connections", "connection.see"],
  ["audit", "Audit", "log", "audit.see"],
];

export function App() {
  const session = useSession();
  if (!session) return null;
  return session.name ? <Shell session={session} /> : <SignInView session={session} />;
}

function Shell({ session }: { session: Session }) {
  const { segments, query } = useAddress();
  const [view = "", ...rest] = segments;
  const id = rest.join("/");
  const overview = useResource(may(session, "overview.see") ? "overview" : null, hub.overview, {
    every: 10_000,
  });
  const shown = NAV.filter(([, , , what]) => may(session, what));
  const here = NAV.find(([path]) => path === view);
  const isAllowed = !here || shown.includes(here);
  useEffect(() => {
    document.title = [id, here?.[1], "Hub"].filter(Boolean).join(" · ");
  }, [here, id]);
  // Who may not see the overview begins at the first view that is theirs.
  const first = view === "" && !isAllowed ? shown[0]?.[0] : undefined;
  useEffect(() => {
    if (first) go(`/${first}`, { replace: true });
  }, [first]);
  if (first) return null;
  return (
    <div className="shell">
      <a className="skip" href="#main">
        Skip to the content
      </a>
      <div className="side">
        <Link className="brand" href="/">
          <img src="/mark.svg" alt="" />
          <span>
            Hub
            <small className="clip">{session.project ?? "\u00a0"}</small>
          </span>
        </Link>
        <Nav entries={shown} view={view} />
        <div className="side-foot">
          {may(session, "mail.see") && (
            <a href="/dev/mail">
              <Icon name="mail" size={14} /> Caught mail
            </a>
          )}
          {overview.data?.temporal_ui && (
            <a href={`${overview.data.temporal_ui}/workflows`} target="_blank" rel="noreferrer">
              <Icon name="outside" size={14} /> Temporal
            </a>
          )}
          <UserMenu session={session} />
          <ThemeSwitch />
        </div>
      </div>
      <main className="main" id="main" tabIndex={-1}>
        <Boundary key={`${view}/${id}`}>
          <Suspense
            fallback={
              <Page title={id || "\u00a0"}>
                <Panel>
                  <Skeleton />
                </Panel>
              </Page>
            }
          >
            {isAllowed ? (
              <View view={view} id={id} query={query} />
            ) : (
              <NotYours title={here?.[1] ?? ""} session={session} what={here?.[3]} />
            )}
          </Suspense>
        </Boundary>
      </main>
    </div>
  );
}

/** What stands where somebody may not look. */
function NotYours({
  title,
  session,
  what,
}: {
  title: string;
  session: Session;
  what: Permission | undefined;
}) {
  return (
    <Page title={title}>
      <Panel>
        <Empty icon="shield" title="This is not for you to see">
          {what && lacking(session, what)} You are {session.name}
          {session.roles.length
            ? `, with ${session.roles.join(" and ")}`
            : ", and have no role yet"}
          .
        </Empty>
      </Panel>
    </Page>
  );
}

function View({ view, id, query }: { view: string; id: string; query: URLSearchParams }) {
  switch (view) {
    case "":
      return <OverviewView />;
    case "runs":
      return id ? <RunView id={id} /> : <RunsView query={query} />;
    case "events":
      return id ? (
        <EventView id={id} trigger={query.get("trigger")} />
      ) : (
        <EventsView query={query} />
      );
    case "trees":
      return id ? <TreeView key={id} name={id} isNew={query.has("new")} /> : <TreesView />;
    case "approvals":
      return id ? <ApprovalView key={id} id={id} /> : <ApprovalsView query={query} />;
    case "triggers":
      return <TriggersView />;
    case "connections":
      return <ConnectionsView />;
    case "audit":
      return <AuditView query={query} />;
    default:
      return (
        <Page title="Nothing here">
          <Panel>
            <Empty icon="search" title="There is no such view">
              <Link href="/">Back to the overview</Link>
            </Empty>
          </Panel>
        </Page>
      );
  }
}

const THEMES: [Theme, string, IconName][] = [
  ["light", "Light", "sun"],
  ["system", "As the system", "system"],
  ["dark", "Dark", "moon"],
];

function ThemeSwitch() {
  const theme = useTheme();
  return (
    <fieldset className="segments theme">
      <legend className="visually-hidden">Theme</legend>
      {THEMES.map(([name, word, icon]) => (
        <button
          key={name}
          type="button"
          aria-pressed={theme === name}
          aria-label={word}
          title={word}
          onClick={() => setTheme(name)}
        >
          <Icon name={icon} />
        </button>
      ))}
    </fieldset>
  );
}

/** A fault of the page itself stays in its view, and is said. */
class Boundary extends Component<{ children: ReactNode }, { fault: string | null }> {
  override state = { fault: null };

  static getDerivedStateFromError(error: unknown) {
    return { fault: error instanceof Error ? error.message : String(error) };
  }

  override render() {
    if (this.state.fault === null) return this.props.children;
    return (
      <Page title="The page failed">
        <Panel>
          <Empty icon="alert" title="This view could not be shown">
            <p className="mono break">{this.state.fault}</p>
            <button type="button" className="button" onClick={() => location.reload()}>
              Load it again
            </button>
          </Empty>
        </Panel>
      </Page>
    );
  }
}
