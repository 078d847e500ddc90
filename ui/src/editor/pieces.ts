/** What a new node looks like when it is put into a tree, and what it may be wrapped in. */

import type { FieldInfo, VerbInfo } from "../api/types";

const FIRST_VALUES: Record<string, string> = {
  duration: "1h",
  expression: "true",
  number: "1",
  boolean: "true",
};

function firstValue(field: FieldInfo, event: string | undefined): string {
  if (field.kind === "event") return event ?? "event_name";
  if (field.kind === "choice") return field.choices?.[0] ?? "";
  if (field.kind === "mapping") return "{name: value}";
  return FIRST_VALUES[field.kind] ?? '""';
}

/** A new node of a verb as an item of a list. Its required parts are there, to be filled in. */
export function newItem(info: VerbInfo, event: string | undefined): string {
  const required = info.fields.filter((field) => field.required && field.key !== info.primary);
  const primary = info.fields.find((field) => field.key === info.primary);
  if (info.group === "connector") {
    const lines = info.fields
      .filter((field) => field.required)
      .map((field) => `    ${field.key}: ${firstValue(field, event)}\n`);
    return lines.length ? `- ${info.verb}:\n${lines.join("")}` : `- ${info.verb}: {}\n`;
  }
  let text: string;
  if (!primary) text = `- ${info.verb}:\n`;
  else if (primary.kind === "nodes") text = `- ${info.verb}:\n    - log: to be written\n`;
  else if (primary.kind === "node") text = `- ${info.verb}:\n    - log: to be written\n`;
  else if (info.verb === "delay" || primary.required || info.verb === "repeat") {
    const value = info.verb === "repeat" ? "3" : firstValue(primary, event);
    text = `- ${info.verb}: ${value}\n`;
  } else text = `- ${info.verb}:\n`;
  for (const field of required) {
    if (field.kind === "node" || field.kind === "nodes") {
      text += `  ${field.key}:\n    - log: to be written\n`;
    } else if (field.kind === "cases") {
      text += `  ${field.key}:\n    a:\n      - log: to be written\n`;
    } else text += `  ${field.key}: ${firstValue(field, event)}\n`;
  }
  return text;
}

/** The verbs that a node can be put into, each with the text around it. */
export function wrappings(verbs: VerbInfo[]): Map<string, (inner: string) => string> {
  const found = new Map<string, (inner: string) => string>();
  for (const info of verbs) {
    const primary = info.fields.find((field) => field.key === info.primary);
    const others = info.fields.filter((field) => field.required && field.key !== info.primary);
    if (primary && ["node", "nodes"].includes(primary.kind) && others.length === 0) {
      found.set(info.verb, (inner) => `- ${info.verb}:\n${deeper(inner)}`);
      continue;
    }
    const [part, ...rest] = others.filter((field) => field.kind === "node");
    if (part && rest.length === 0 && others.length === 1) {
      const value =
        info.verb === "for_each" ? "event.data.items" : info.verb === "repeat" ? "3" : "true";
      found.set(info.verb, (inner) => `- ${info.verb}: ${value}\n  ${part.key}:\n${deeper(inner)}`);
    }
  }
  return found;
}

function deeper(text: string): string {
  return text.replace(/^(?=.*\S)/gm, "    ");
}

/** A tree that does nothing yet. */
export function newTree(name: string, trigger: string | undefined): string {
  return `tree: ${name}

events:
  started:
    webhook: ${trigger ?? "app"}
    where: event.type == "${name}.started"
    key: event.data.id

start: started

do: []
`;
}
