// Generates levels.json; see README.md. What ../ and @../ count, and what @-variables give, where blocks stand in blocks.
'use strict';
const Handlebars = require('handlebars');

let seed = Number(process.env.CORPUS_SEED || 20240608);
function random() {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}
const int = (n) => Math.floor(random() * n);
const pick = (list) => list[int(list.length)];
const chance = (p) => random() < p;

// Equal scalars of different kinds are frequent on purpose; keys are in byte order, and no list equals a scalar.
const scalar = () => pick(['a', '1', '0', '', 1, 0, 2, true, false, '2', 'x', 3]);
function object(depth) {
  const o = {};
  for (const k of ['a', 'b', 'l', 'n', 'o']) {
    if (chance(0.2)) continue;
    if (k === 'l') o[k] = Array.from({ length: 2 + int(2) }, () => (chance(0.5) && depth > 0 ? object(depth - 1) : scalar()));
    else if (k === 'o') { if (depth > 0) o[k] = object(depth - 1); } else o[k] = scalar();
  }
  return o;
}

const path = () => pick(['a', 'b', 'n', 'this', './a', '../a', '../b', '../../a', '../n', '../this.a', '@root.a', '@root.o.a', '@root.n.x', '@root.b.y', 'l.length',
  '../l.length', '@index', '@../index', '@../../index', '@first', '@last', '@key', '@../key', '@../first', 'o.a', '@root.l.length', '@index.x', '@first.x']);
const argument = () => pick(['l', 'o', 'this', '../l', '../o', '@root.l', '@root.o', 'o.l', 'l.length', 'n', 'a', '../n', '@root', '..', '../..', '@root.n', '@index']);
function source(depth) {
  let s = '';
  for (let i = 1 + int(2); i > 0; i--) {
    if (depth <= 0 || int(5) < 2) {
      s += `{{${path()}}}${pick([',', ';', '|'])}`;
      continue;
    }
    const name = pick(['each', 'with', 'if', 'unless', 'each', 'with', 'l', 'o', 'n', 'a']);
    const isHelper = name.length > 1;
    const zero = name === 'if' || name === 'unless' ? pick(['', '', ` includeZero=${pick(['true', 'false', 'n', 'b', 'l', 'o', '1', '0', '"x"', 'null'])}`]) : '';
    s += `{{#${name}${isHelper ? ' ' + argument() + zero : ''}}}(${source(depth - 1)}${chance(0.3) ? '{{else}}' + source(depth - 1) : ''}){{/${name}}}`;
  }
  return s;
}

const cases = [];
while (cases.length < 600) {
  const c = { id: cases.length + 1, construct: 'levels', template: source(3), data: object(2) };
  if (!/\.\.|@/.test(c.template)) continue;
  c.output = Handlebars.compile(c.template)(c.data);
  if (!c.output.includes('[object')) cases.push(c);
}
process.stdout.write('[\n' + cases.map((c) => JSON.stringify(c)).join(',\n') + '\n]\n');
