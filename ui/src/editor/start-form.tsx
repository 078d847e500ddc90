/** How a tree starts: which event does it, and how its starts are held back. */

import type { FieldInfo, Json, JsonObject } from "../api/types";
import { isObject, type Place } from "../tree/outline";
import { FieldInput } from "./form";

export function StartForm({
  fields,
  start,
  events,
  isReadOnly,
  onSet,
}: {
  fields: FieldInfo[];
  start: Json | undefined;
  events: string[];
  isReadOnly: boolean;
  /** Set what stands at a place of the tree; undefined takes it away. */
  onSet: (place: Place, value: Json | undefined) => void;
}) {
  const said: JsonObject = isObject(start) ? start : start === undefined ? {} : { event: start };
  const [first, ...rest] = fields;
  const isUsed = rest.some((field) => said[field.key] !== undefined);
  function set(key: string, value: Json | undefined, part: Place) {
    const others = Object.keys(said).filter((other) => other !== key);
    if (key === "event" && others.length === 0) return onSet(["start"], value);
    // A name alone stands for the event; it is more than a name as soon as more is said.
    if (!isObject(start)) return onSet(["start"], { ...said, [key]: below(value, part) });
    const isLast = value === undefined && part.length === 0 && others.join() === "event";
    return isLast ? onSet(["start"], said.event) : onSet(["start", key, ...part], value);
  }
  const input = (field: FieldInfo) => (
    <FieldInput
      key={field.key}
      field={field}
      label={field === first ? "start" : undefined}
      value={said[field.key]}
      events={events}
      isReadOnly={isReadOnly}
      onSet={(value, part = []) => set(field.key, value, part)}
    />
  );
  return (
    <>
      {first && input(first)}
      <details open={isUsed}>
        <summary>When it starts again, and how often</summary>
        <div className="stack">{rest.map(input)}</div>
      </details>
    </>
  );
}

/** A value below a place: `{for: 30s}`. */
function below(value: Json | undefined, part: Place): Json {
  return part.reduceRight<Json>((inner, key) => ({ [key]: inner }), value ?? null);
}
