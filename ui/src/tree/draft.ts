/** Events as they might come, as far as a tree foretells them. */

import type { Json, JsonObject } from "../api/types";

export interface Draft {
  name: string;
  trigger: string;
  type: string;
  data: Json;
}

/** An event of a subscription, as far as its filter and key let it be foreseen. */
export function draftOf(name: string, subscription: JsonObject, key: string | null): Draft {
  const kind = Object.keys(subscription).find(
    (word) => !["where", "key", "early", "deliver"].includes(word),
  );
  const trigger = kind ? String(subscription[kind]) : "api";
  const where = String(subscription.where ?? "");
  const type = /event\.type\s*==\s*["']([^"']+)["']/.exec(where)?.[1] ?? "";
  const data: JsonObject = {};
  const path = /^\s*event\.data\.([\w.]+)\s*$/.exec(String(subscription.key ?? ""))?.[1];
  if (path && key !== null) {
    const words = path.split(".");
    let at = data;
    words.forEach((word, index) => {
      if (index === words.length - 1) at[word] = key;
      else {
        const below: JsonObject = {};
        at[word] = below;
        at = below;
      }
    });
  }
  return { name, trigger, type, data };
}
