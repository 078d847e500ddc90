/** What a tree says of itself: its title, the events it is about, and which of them starts it. */

import { type FormEvent, useState } from "react";
import type { FieldInfo, Json, JsonObject } from "../api/types";
import { Icon } from "../parts/icons";
import { isObject, type Place } from "../tree/outline";
import { FieldInput } from "./form";

const field = (key: string, kind: FieldInfo["kind"], doc: string | null): FieldInfo => ({
  key,
  kind,
  doc,
  required: false,
});

export function TreeForm({
  value,
  isReadOnly,
  onSet,
}: {
  value: JsonObject;
  isReadOnly: boolean;
  onSet: (place: Place, value: Json | undefined) => void;
}) {
  const [name, setName] = useState("");
  const events = isObject(value.events) ? value.events : {};
  const start = isObject(value.start) ? value.start.event : value.start;
  const startPlace: Place = isObject(value.start) ? ["start", "event"] : ["start"];
  function add(event: FormEvent) {
    event.preventDefault();
    if (!/^[a-z][a-z0-9_]*$/.test(name) || name in events) return;
    const [known] = Object.values(events).filter(isObject);
    const kind = known
      ? Object.keys(known).find((key) => !["where", "key", "early", "deliver"].includes(key))
      : null;
    onSet(["events", name], {
      [kind ?? "webhook"]: (kind && known?.[kind]) || "app",
      where: `event.type == "${name.replaceAll("_", ".")}"`,
      key: known?.key ?? "event.data.id",
    });
    setName("");
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
      <FieldInput
        field={{ ...field("start", "event", "the event that starts a run"), required: true }}
        value={start}
        events={Object.keys(events)}
        isReadOnly={isReadOnly}
        onSet={(next) => onSet(startPlace, next)}
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
            {Object.keys({ ...subscription, where: null, key: null }).map((key) => (
              <FieldInput
                key={key}
                field={field(key, key === "where" || key === "key" ? "expression" : "text", null)}
                value={subscription[key]}
                events={[]}
                isReadOnly={isReadOnly}
                onSet={(next) => onSet(["events", event, key], next)}
              />
            ))}
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
