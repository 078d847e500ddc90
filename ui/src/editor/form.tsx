/** A node's fields as a form. Each change is one change of the text. */

import { useEffect, useState } from "react";
import { parse, stringify } from "yaml";
import type { FieldInfo, Json, JsonObject, VerbInfo } from "../api/types";
import { Icon } from "../parts/icons";
import { Field, Prose } from "../parts/parts";
import { fieldAt, isObject, type OutlineNode, type Place, type Words } from "../tree/outline";

export interface FormProps {
  node: OutlineNode;
  value: JsonObject;
  words: Words;
  events: string[];
  isReadOnly: boolean;
  /** Set what stands at a place; undefined takes it away. */
  onSet: (place: Place, value: Json | undefined) => void;
  onAddPart: (place: Place) => void;
}

const PARTS = new Set(["node", "nodes", "cases"]);

export function NodeForm(props: FormProps) {
  const { node, value, words, onSet } = props;
  const info = node.verb ? words.info(node.verb) : undefined;
  const own = info?.fields.filter((field) => !PARTS.has(field.kind)) ?? [];
  const parts = info?.fields.filter((field) => PARTS.has(field.kind)) ?? [];
  const common = words.language.common.filter((field) => !PARTS.has(field.kind));
  const [names, rest] = [
    common.filter((field) => field.key === "id" || field.key === "name"),
    common.filter((field) => field.key !== "id" && field.key !== "name" && field.key !== node.verb),
  ];
  const isUsed = rest.some((field) => value[field.key] !== undefined);
  function commonField(field: FieldInfo) {
    return (
      <FieldInput
        key={field.key}
        field={field}
        value={value[field.key]}
        events={props.events}
        isReadOnly={props.isReadOnly}
        onSet={(next, part = []) => onSet([...node.place, field.key, ...part], next)}
      />
    );
  }
  return (
    <div className="form stack">
      {info && (
        <p className="soft small">
          <Prose text={info.doc} />
        </p>
      )}
      {info &&
        own.map((field) => {
          const at = ownPlace(value, node, field, info, words);
          return (
            <FieldInput
              key={field.key}
              field={field}
              label={field.key === info.primary ? field.key : undefined}
              value={at.value}
              events={props.events}
              isReadOnly={props.isReadOnly}
              onSet={(next, part = []) => onSet([...node.place, ...at.place, ...part], next)}
            />
          );
        })}
      {!props.isReadOnly &&
        parts.map((field) => {
          if (field.key === info?.primary || field.kind !== "node" || field.required) return null;
          if (value[field.key] !== undefined) return null;
          return (
            <button
              key={field.key}
              type="button"
              className="button small"
              title={field.doc ?? ""}
              onClick={() => props.onAddPart([...node.place, field.key])}
            >
              <Icon name="plus" size={14} /> Add <code>{field.key}</code>
            </button>
          );
        })}
      {names.map(commonField)}
      <details open={isUsed}>
        <summary>Timeout, retry and more</summary>
        <div className="stack">{rest.map(commonField)}</div>
      </details>
    </div>
  );
}

/** Where a field of a node stands, or would stand. */
function ownPlace(
  value: JsonObject,
  node: OutlineNode,
  field: FieldInfo,
  info: VerbInfo,
  words: Words,
): { place: Place; value: Json | undefined } {
  const { verb } = node;
  if (info.group === "connector") {
    const below = value[verb];
    return { place: [verb, field.key], value: isObject(below) ? below[field.key] : undefined };
  }
  const at = fieldAt(value, verb, field.key, info, words);
  if (at) return at;
  if (field.key === info.primary) return { place: [verb], value: undefined };
  const below = value[verb];
  const isBelow = isObject(below) && info.fields.some((one) => one.key in below);
  return { place: isBelow ? [verb, field.key] : [field.key], value: undefined };
}

export function FieldInput({
  field,
  label,
  value,
  events,
  isReadOnly,
  onSet,
}: {
  field: FieldInfo;
  label?: string | undefined;
  value: Json | undefined;
  events: string[];
  isReadOnly: boolean;
  /** Set its value, or where it is made of fields, that of the one below. */
  onSet: (value: Json | undefined, part?: Place) => void;
}) {
  if (field.kind === "fields" && (value === undefined || isObject(value))) {
    return (
      <Parts
        field={field}
        value={value ?? {}}
        events={events}
        isReadOnly={isReadOnly}
        onSet={onSet}
      />
    );
  }
  const name = `${label ?? field.key}${field.required ? " *" : ""}`;
  const choices =
    field.kind === "choice"
      ? (field.choices ?? [])
      : field.kind === "event"
        ? events
        : field.kind === "boolean"
          ? ["true", "false"]
          : null;
  if (choices && (value === undefined || typeof value !== "object")) {
    const text = value === undefined || value === null ? "" : String(value);
    const known = choices.includes(text) || text === "" ? choices : [text, ...choices];
    return (
      <Field label={name} hint={field.doc && <Prose text={field.doc} />}>
        <select
          disabled={isReadOnly}
          value={text}
          onChange={({ target }) =>
            onSet(
              target.value === ""
                ? undefined
                : field.kind === "boolean"
                  ? target.value === "true"
                  : target.value,
            )
          }
        >
          {(!field.required || text === "") && (
            <option value="">
              {field.default !== undefined ? `as usual (${field.default})` : "none"}
            </option>
          )}
          {known.map((choice) => (
            <option key={choice}>{choice}</option>
          ))}
        </select>
      </Field>
    );
  }
  return (
    <Field label={name} hint={field.doc && <Prose text={field.doc} />}>
      <Typed field={field} value={value} isReadOnly={isReadOnly} onSet={onSet} />
    </Field>
  );
}

/** A field that is made of fields. When the last of them is taken away, it goes too. */
function Parts({
  field,
  value,
  events,
  isReadOnly,
  onSet,
}: {
  field: FieldInfo;
  value: JsonObject;
  events: string[];
  isReadOnly: boolean;
  onSet: (value: Json | undefined, part?: Place) => void;
}) {
  const isUsed = Object.keys(value).length > 0;
  return (
    <details className="parts" open={isUsed}>
      <summary>{field.key}</summary>
      <div className="stack">
        <p className="field-hint">{field.doc && <Prose text={field.doc} />}</p>
        {field.fields?.map((part) => (
          <FieldInput
            key={part.key}
            field={part}
            value={value[part.key]}
            events={events}
            isReadOnly={isReadOnly}
            onSet={(next, below = []) => {
              const others = Object.keys(value).filter((key) => key !== part.key);
              if (next === undefined && below.length === 0 && others.length === 0) onSet(undefined);
              else onSet(next, [part.key, ...below]);
            }}
          />
        ))}
      </div>
    </details>
  );
}

/** A text that counts when it is left, or on Enter: one step to undo, not one for each letter. */
function Typed({
  field,
  value,
  isReadOnly,
  onSet,
}: {
  field: FieldInfo;
  value: Json | undefined;
  isReadOnly: boolean;
  onSet: (value: Json | undefined) => void;
}) {
  const isDeep = typeof value === "object" && value !== null;
  const written = textOf(value);
  const [text, setText] = useState(written);
  const [fault, setFault] = useState<string | null>(null);
  useEffect(() => {
    setText(written);
    setFault(null);
  }, [written]);
  const isLong = isDeep || field.kind === "mapping" || text.includes("\n") || text.length > 90;
  function settle() {
    if (text === written) return;
    try {
      onSet(parsed(text, field, isDeep));
      setFault(null);
    } catch (error) {
      setFault((error as Error).message.split("\n")[0] ?? "this is no YAML");
    }
  }
  const shared = {
    value: text,
    readOnly: isReadOnly,
    "aria-invalid": fault !== null,
    spellCheck: false,
    className: field.kind === "text" ? "" : "mono",
    onBlur: settle,
    placeholder: field.default === undefined || field.default === null ? "" : String(field.default),
  };
  return (
    <>
      {isLong ? (
        <textarea
          {...shared}
          rows={Math.min(10, Math.max(3, text.split("\n").length + 1))}
          onChange={(event) => setText(event.target.value)}
        />
      ) : (
        <input
          type="text"
          {...shared}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter") settle();
            if (event.key === "Escape") setText(written);
          }}
        />
      )}
      {fault && <span className="field-hint tone-bad">{fault}</span>}
    </>
  );
}

function textOf(value: Json | undefined): string {
  if (value === undefined || value === null) return "";
  if (typeof value === "string") return value;
  if (typeof value === "object") return stringify(value, { lineWidth: 0 }).trimEnd();
  return String(value);
}

function parsed(text: string, field: FieldInfo, isDeep: boolean): Json | undefined {
  if (text.trim() === "") return undefined;
  if (isDeep || ["mapping", "any", "names", "number", "retry", "template"].includes(field.kind)) {
    const looksPlain = field.kind === "template" && !isDeep && !/^[[{]/.test(text.trim());
    return looksPlain ? text : (parse(text) as Json);
  }
  return text;
}
