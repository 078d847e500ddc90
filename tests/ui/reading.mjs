// What is read from a change alone is the same as what is read from the whole text: asked of many
// random changes, each made by the canvas or by a hand that types. Prints how many were asked, and
// how many of them were read from the change alone.
import { isDeepStrictEqual } from "node:util";
import { isMap, isPair, isScalar, isSeq } from "../../ui/node_modules/yaml/dist/index.js";
import { createServer } from "../../ui/node_modules/vite/dist/node/index.js";

const root = new URL("../../ui", import.meta.url).pathname;
const server = await createServer({
  root,
  configFile: false,
  logLevel: "error",
  optimizeDeps: { noDiscovery: true },
  server: { middlewareMode: true, ws: false, watch: null },
});
const { readWhole } = await server.ssrLoadModule("/src/editor/source.ts");
const { patched } = await server.ssrLoadModule("/src/editor/patch.ts");
const edits = await server.ssrLoadModule("/src/editor/edits.ts");

const TEXTS = [
  `# Why this tree is there.
tree: many
events:
  opened:    {webhook: app, where: event.type == "opened", key: event.data.id}   # in one line
  closed:
    webhook: app
    where: event.type == "closed"      # told by the desk

start: opened

do:
  # first the mail
  - id: greet
    email.send:
      to: a@example.com      # for now
      subject: 'Hello
        there'
      text: |
        Hi,
         - no item

        bye

  - fallback:                # in time, or not
      - id: in_time
        wait_for: closed
        timeout: 2h
      # too late
      - log: too late - really
      - succeed
  - try:
    - delay: 1h
    - set: {a: 1, b: [2, 3]}
    catch:
      log: >-
        folded
        text
    finally:
      - log: "quoted: # no comment"
  - if: vars.a > 1
    then:
      - parallel:
        - - log: in a list
          - log: in a list, too
        - log: x
    else:
      log: y
  -
    delay: 5m
  - # a remark
    log: remarked
  - saga:
      - http.request:
          url: "https://example.com"
        undo:
          - log: undone
          - log:

# the end
vars:
  email: a
`,
  `tree: at the left
do:
- log: a
- fallback:
  - log: b
  - log: c
  # said here
- log: d
start: e
`,
  `tree: named
do:
  - &first
    log: a
  - log: b
  - *first
  - set: {x: !!str 1}
  - log: c
`,
];

let seed = 20240607;
function below(limit) {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return Math.floor((seed / 2 ** 32) * limit);
}
const one = (list) => list[below(list.length)];

function lists(node, place = []) {
  if (isMap(node)) {
    return node.items.flatMap((pair) =>
      isScalar(pair.key) ? lists(pair.value, [...place, String(pair.key.value)]) : [],
    );
  }
  if (!isSeq(node)) return [];
  return [place, ...node.items.flatMap((item, at) => lists(item, [...place, at]))].filter(
    (found) => found.length > 0,
  );
}

function drawn(source) {
  const list = one(lists(source.document.contents));
  if (!list) return source.text;
  const size = list.reduce(
    (at, part) => (isSeq(at) ? at.items[part] : at.items.find((p) => p.key.value === part).value),
    source.document.contents,
  ).items.length;
  const place = [...list, below(size)];
  const other = one(lists(source.document.contents));
  switch (below(5)) {
    case 0:
      return edits.duplicate(source, place).text;
    case 1:
      return edits.remove(source, place).text;
    case 2:
      return edits.move(source, place, other, below(4)).text;
    case 3:
      return edits.wrap(source, place, (inner) => `- try:\n${inner.replace(/^(?=.)/gm, "    ")}`).text;
    default:
      return edits.insert(source, list, below(size + 1), one(["- delay: 1h\n", "- log: |\n    x\n\n    y\n"])).text;
  }
}

const LETTERS = ["a", " ", "-", ":", ": ", "#", " # ", '"', "'", "|", "\n", "\n  ", "- ", "[", "}", "&x ", "*x", "!y ", "\t", "---\n"];
function written(text) {
  const at = below(text.length);
  const isAway = below(3) === 0;
  return text.slice(0, at) + (isAway ? "" : one(LETTERS)) + text.slice(isAway ? at + 1 + below(9) : at);
}

/**
 * Everything that is told of a part: what it is, what it holds, and where it stands. Where a block
 * of lines ends is where the last part of it does; comments behind that are not asked about.
 */
function told(part) {
  if (part === null || part === undefined) return null;
  if (isPair(part)) return [told(part.key), told(part.value)];
  const { range, tag, anchor, flow } = part;
  const inner = isScalar(part) ? part.value : (part.items?.map(told) ?? part.source);
  const isBlock = !flow && (isMap(part) || isSeq(part));
  return [part.constructor.name, range.slice(0, isBlock ? 1 : 2), tag, anchor, !!flow, inner];
}

/** Where two of these differ, for whoever has to find out why. */
function firstDifference(one, other) {
  if (!Array.isArray(one) || !Array.isArray(other) || one.length !== other.length) {
    return isDeepStrictEqual(one, other) ? null : `${JSON.stringify(one)} != ${JSON.stringify(other)}`;
  }
  for (const [at, part] of one.entries()) {
    const found = firstDifference(part, other[at]);
    if (found) return found;
  }
  return null;
}

let asked = 0;
let alone = 0;
for (let round = 0; round < 30; round++) {
  let source = readWhole(one(TEXTS));
  for (let step = 0; step < 25; step++) {
    let text;
    try {
      text = below(2) ? drawn(source) : written(source.text);
    } catch {
      continue; // a change that makes no sense of what the text has become
    }
    const whole = readWhole(text);
    const part = patched(source, text);
    asked++;
    if (part) {
      alone++;
      const isSame =
        whole.faults.length === 0 &&
        JSON.stringify(part.value) === JSON.stringify(whole.value) &&
        isDeepStrictEqual(part.lines.lineStarts, whole.lines.lineStarts) &&
        isDeepStrictEqual(told(part.document.contents), told(whole.document.contents)) &&
        JSON.stringify(part.document.toJS()) === JSON.stringify(whole.document.toJS());
      if (!isSame) {
        console.error(`${firstDifference(told(part.document.contents), told(whole.document.contents))}`);
        console.error(JSON.stringify({ before: source.text, after: text, faults: whole.faults }));
        process.exit(1);
      }
    }
    if (whole.faults.length === 0) source = part ?? whole;
  }
}
console.log(JSON.stringify({ asked, alone }));
await server.close();
