/** What a tree says of itself: its title, the events it is about, and which of them starts it. */

import { type FormEvent, useState } from "react";
import type { FieldInfo, Json, JsonObject, Language } from "../api/types";
import { Icon } from "../parts/icons";
import { isObject, type Place } from "../tree/outline";
import { FieldInput } from "./form";
import { StartForm } from "./start-form";

const field = (key: string, kind: FieldInfo["kind"], doc: string | null): FieldInfo => ({
  key,
  kind,
  doc,
  required: false,
});

/** Fields of an event that nearly each has; the others are asked for. */
const USUAL = new Set(["where", "key"]);

export function TreeForm({
  value,
  language,
  isReadOnly,
  onSet,
}: {
  value: JsonObject;
  language: Language;
  isReadOnly: boolean;
  onSet: (place: Place, value: Json | undefined) => void;
}) {
  const [name, setName] = useState("");
  const events = isObject(value.events) ? value.events : {};
  const ofEvent = new Set(language.event.map((one) => one.key));
  const usual = language.event.filter((one) => USUAL.has(one.key));
  const unusual = language.event.filter((one) => !USUAL.has(one.key));
  function add(event: FormEvent) {
    event.preventDefault();
    if (!/^[a-z][a-z0-9_]*$/.test(name) || name in events) return;
    const [known] = Object.values(events).filter(isObject);
    const kind = known ? Object.keys(known).find((key) => !ofEvent.has(key)) : null;
    onSet(["events", name], {
      [kind ?? "webhook"]: (kind && known?.[kind]) || "app",
      where: `event.type == "${name.replaceAll("_", ".")}"`,
      key: known?.key ?? "event.data.id",
    });
    setName("");
  }
  function ofSubscription(event: string, subscription: JsonObject, info: FieldInfo) {
    return (
      <FieldInput
        key={info.key}
        field={info}
        value={subscription[info.key]}
        events={[]}
        isReadOnly={isReadOnly}
        onSet={(next) => onSet(["events", event, info.key], next)}
      />
    );
  }
  return (
    <div className="form stack">
      <FieldInput
        field={field("title", "text", "what people call the tree")}
        value={value.title}
        events={[]}
        isReadOnly={isReadOnly}
        onSet={(next) => onSet(["title"], next)}
      />
      <StartForm
        fields={language.start}
        start={value.start}
        events={Object.keys(events)}
        isReadOnly={isReadOnly}
        onSet={onSet}
      />
      <FieldInput
        field={field("cancel_on", "event", "the event that cancels a run when it comes")}
        value={value.cancel_on}
        events={Object.keys(events)}
        isReadOnly={isReadOnly}
        onSet={(next) => onSet(["cancel_on"], next)}
      />
      <h3>Events</h3>
      {Object.entries(events).map(([event, subscription]) =>
        isObject(subscription) ? (
          <fieldset key={event} className="event-fields">
            <legend>
              <code>{event}</code>
            </legend>
            {!isReadOnly && (
              <button
                type="button"
                className="icon-button"
                aria-label={`Delete the event ${event}`}
                onClick={() => onSet(["events", event], undefined)}
              >
                <Icon name="trash" size={14} />
              </button>
            )}
            {Object.keys(subscription)
              .filter((key) => !ofEvent.has(key))
              .map((key) => ofSubscription(event, subscription, field(key, "text", null)))}
            {usual.map((one) => ofSubscription(event, subscription, { ...one, doc: null }))}
            <details open={unusual.some((one) => subscription[one.key] !== undefined)}>
              <summary>When it comes early, or for several</summary>
              <div className="stack">
                {unusual.map((one) => ofSubscription(event, subscription, one))}
              </div>
            </details>
          </fieldset>
        ) : null,
      )}
      {!isReadOnly && (
        <form className="row" onSubmit={add}>
          <input
            className="grow"
            type="text"
            aria-label="Name of a new event"
            placeholder="new_event"
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
          <button type="submit" className="button small">
            <Icon name="plus" size={14} /> Add event
          </button>
        </form>
      )}
      <FieldInput
        field={field("vars", "mapping", "variables of a run, set when it starts")}
        value={value.vars}
        events={[]}
        isReadOnly={isReadOnly}
        onSet={(next) => onSet(["vars"], next)}
      />
    </div>
  );
}
