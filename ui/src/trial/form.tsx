/** A scenario as a form: what starts the run, what comes later, who decides, what stands in. */

import type { ReactNode } from "react";
import { stringify } from "yaml";
import type { FieldInfo, Json, JsonObject } from "../api/types";
import { FieldInput } from "../editor/form";
import { Icon } from "../parts/icons";
import { isObject, type Place } from "../tree/outline";
import { foretold, keyOf } from "./scenario";

type Set = (place: Place, value: Json | undefined) => void;

const field = (key: string, kind: FieldInfo["kind"], more: Partial<FieldInfo> = {}): FieldInfo => ({
  key,
  kind,
  doc: null,
  required: false,
  ...more,
});

export function ScenarioForm({
  tree,
  scenario,
  actions,
  hasApprovals,
  onSet,
}: {
  tree: JsonObject;
  scenario: JsonObject;
  /** What the tree calls. */
  actions: string[];
  hasApprovals: boolean;
  onSet: Set;
}) {
  const key = keyOf(tree, scenario);
  const events = Object.keys(isObject(tree.events) ? tree.events : {});
  const start = isObject(tree.start) ? tree.start.event : tree.start;
  const later = events.filter((name) => name !== start);
  const mocks = isObject(scenario.mocks) ? scenario.mocks : {};
  const free = actions.filter((action) => !(action in mocks));
  return (
    <div className="form stack">
      <EventFields
        legend="It starts with"
        event={isObject(scenario.start) ? scenario.start : {}}
        place={["start"]}
        onSet={onSet}
      />
      <Listed
        title="Later comes"
        items={scenario.events}
        place={["events"]}
        choices={[...later, "cancel"]}
        choose="Add an event"
        made={(name) =>
          name === "cancel"
            ? { after: "1h", cancel: true }
            : { after: "1h", ...foretold(tree, name, key) }
        }
        onSet={onSet}
      >
        {(event, place) => (
          <>
            <Input
              field={field("after", "duration")}
              place={place}
              of={event}
              onSet={onSet}
              label="after"
            />
            {"type" in event ? (
              <EventFields event={event} place={place} onSet={onSet} />
            ) : (
              <p className="soft small">
                {event.cancel ? "Somebody cancels the run." : stringify(event).trim()}
              </p>
            )}
          </>
        )}
      </Listed>
      {hasApprovals && (
        <Listed
          title="People decide"
          items={scenario.decisions}
          place={["decisions"]}
          choices={["approve", "reject"]}
          choose="Add a decision"
          made={(decision) => ({ after: "1h", who: "ada@example.com", decision })}
          onSet={onSet}
        >
          {(decision, place) => (
            <>
              <Input field={field("after", "duration")} place={place} of={decision} onSet={onSet} />
              <Input field={field("who", "text")} place={place} of={decision} onSet={onSet} />
              <Input
                field={field("decision", "choice", {
                  choices: ["approve", "reject"],
                  required: true,
                })}
                place={place}
                of={decision}
                onSet={onSet}
              />
            </>
          )}
        </Listed>
      )}
      <section className="stack">
        <h3>Nobody is called. These stand in</h3>
        {Object.entries(mocks).map(([action, mock]) => (
          <fieldset key={action} className="event-fields">
            <legend>
              <code>{action}</code>
            </legend>
            <Remove
              what={`the stand-in of ${action}`}
              onUse={() => onSet(["mocks", action], undefined)}
            />
            {isObject(mock) ? (
              <>
                <Input
                  field={field("result", "mapping", { doc: "what it gives" })}
                  place={["mocks", action]}
                  of={mock}
                  onSet={onSet}
                />
                <Input
                  field={field("fail", "any", { doc: "the code that it fails with" })}
                  place={["mocks", action]}
                  of={mock}
                  onSet={onSet}
                />
                <Input
                  field={field("takes", "duration")}
                  place={["mocks", action]}
                  of={mock}
                  onSet={onSet}
                />
              </>
            ) : (
              <p className="soft small">several, one after the other: see the text</p>
            )}
          </fieldset>
        ))}
        {free.length > 0 ? (
          <Choose
            label="Let an action fail, or give something"
            choices={free}
            onChoose={(action) =>
              onSet(
                "mocks" in scenario ? ["mocks", action] : ["mocks"],
                "mocks" in scenario ? { fail: "failed" } : { [action]: { fail: "failed" } },
              )
            }
          />
        ) : (
          actions.length === 0 && <p className="soft small">The tree calls nothing.</p>
        )}
      </section>
    </div>
  );
}

function Input({
  field,
  label,
  place,
  of,
  onSet,
}: {
  field: FieldInfo;
  label?: string;
  place: Place;
  of: JsonObject;
  onSet: Set;
}) {
  return (
    <FieldInput
      field={field}
      label={label}
      value={of[field.key]}
      events={[]}
      isReadOnly={false}
      onSet={(next) => onSet([...place, field.key], next)}
    />
  );
}

function EventFields({
  legend,
  event,
  place,
  onSet,
}: {
  legend?: string;
  event: JsonObject;
  place: Place;
  onSet: Set;
}) {
  const inputs = (
    <>
      <Input
        field={field("type", "text", { required: true })}
        place={place}
        of={event}
        onSet={onSet}
      />
      <Input field={field("data", "mapping")} place={place} of={event} onSet={onSet} />
    </>
  );
  if (!legend) return inputs;
  return (
    <fieldset className="event-fields">
      <legend>{legend}</legend>
      {inputs}
    </fieldset>
  );
}

function Listed({
  title,
  items,
  place,
  choices,
  choose,
  made,
  onSet,
  children,
}: {
  title: string;
  items: Json | undefined;
  place: Place;
  choices: string[];
  choose: string;
  made: (choice: string) => JsonObject;
  onSet: Set;
  children: (item: JsonObject, place: Place) => ReactNode;
}) {
  const listed = Array.isArray(items) ? items : [];
  return (
    <section className="stack">
      <h3>{title}</h3>
      {listed.map((item, index) =>
        isObject(item) ? (
          <fieldset key={index} className="event-fields">
            <legend className="visually-hidden">
              {title} {index + 1}
            </legend>
            <Remove
              what={`number ${index + 1}`}
              onUse={() =>
                listed.length === 1 ? onSet(place, undefined) : onSet([...place, index], undefined)
              }
            />
            {children(item, [...place, index])}
          </fieldset>
        ) : null,
      )}
      <Choose
        label={choose}
        choices={choices}
        onChoose={(choice) => onSet(place, [...listed, made(choice)])}
      />
    </section>
  );
}

function Remove({ what, onUse }: { what: string; onUse: () => void }) {
  return (
    <button type="button" className="icon-button" aria-label={`Take away ${what}`} onClick={onUse}>
      <Icon name="trash" size={14} />
    </button>
  );
}

/** One button for each of a few choices. */
function Choose({
  label,
  choices,
  onChoose,
}: {
  label: string;
  choices: string[];
  onChoose: (choice: string) => void;
}) {
  if (choices.length === 0) return null;
  return (
    <fieldset className="row chips">
      <legend className="small soft">{label}</legend>
      {choices.map((choice) => (
        <button
          key={choice}
          type="button"
          className="button small"
          onClick={() => onChoose(choice)}
        >
          <Icon name="plus" size={12} /> {choice}
        </button>
      ))}
    </fieldset>
  );
}
