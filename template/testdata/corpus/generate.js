// Generates handlebars.json; see README.md.
'use strict';
const Handlebars = require('handlebars');

let seed = Number(process.env.CORPUS_SEED || 20240607);
function random() {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}
const int = (n) => Math.floor(random() * n);
const pick = (list) => list[int(list.length)];
const chance = (p) => random() < p;

const words = ['ab', 'x<y', "it's", '"q"', 'a&b', '`=`', 'ünï', '日本', '😀', 'line\nbreak', ' ', '\\', '{{x}}', 'q'];
const text = () => pick(words);
const falsy = () => pick(['', 0, null, false, []]);
const scalar = () => pick([text(), text(), int(100), -int(9), 2.5, true, false, null, 0, '']);
function person() {
  const p = { a: text(), n: int(50) };
  if (chance(0.7)) p.tags = Array.from({ length: int(3) }, text);
  if (chance(0.5)) p.z = { deep: text() };
  return p;
}
function data() {
  return {
    a: text(), e: {}, f: falsy(), l: Array.from({ length: int(4) }, person), m: { k1: text(), k2: int(9) },
    n: int(20), o: person(), s: Array.from({ length: int(4) }, scalar), t: pick([true, 'yes', 1, {}, ['x']]), w: person(),
  };
}

const blanks = () => pick(['', ' ', '\n', '  \n', '\t', '\n  ', ' - ', 'x', '\r\n', '']);
const out = (path) => pick([`{{${path}}}`, `{{ ${path} }}`, `{{{${path}}}}`, `{{&${path}}}`, `{{~${path}}}`, `{{${path}~}}`]);
const leaf = () => pick(['a', 'n', 'f', 'o.a', 'o.n', 'w.z.deep', 'none', 'none.at.all', 'm.k1', 'e', 'this.a', './n', 's'].filter((p) => p !== 'e' || chance(0.1)));
const body = () => blanks() + out(leaf()) + blanks();
const inPerson = () => pick(['a', 'n', 'z.deep', 'none', 'tags', 'tags.length', 'this.a']);

// Each construct returns a template; the data is the common one unless it returns [template, data].
const constructs = {
  'no implicit parent': () => {
    const [open, close] = pick([['#each l', 'each'], ['#with o', 'with'], ['#o', 'o'], ['#l', 'l']]);
    return `{{${open}}}${out(pick(['f', 'm.k1', 'o.a', 'a', 't', 's']))}|${body()}{{/${close}}}${blanks()}`;
  },
  'parent': () => {
    const up = () => pick(['../a', '../n', '../o.a', '../../a', '../m.k2', '../l.length', '../none']);
    const [open, close] = pick([['#each l', 'each'], ['#with o', 'with'], ['#o', 'o'], ['#each s', 'each'], ['#if a', 'if'], ['#t', 't']]);
    const inner = pick([() => '', () => `{{#each tags}}${out(up())}{{this}}{{/each}}`, () => `{{#with z}}${out(up())}{{deep}}{{/with}}`, () => `{{#if ../a}}${out(up())}{{/if}}`, () => `{{#with this}}${out(up())}{{/with}}`])();
    return `{{${open}}}${out(up())}${inner}${blanks()}{{/${close}}}`;
  },
  'root': () => {
    const r = () => out(pick(['@root.a', '@root.o.a', '@root.l.length', '@root.none', '@root.m.k1']));
    const [open, close] = pick([['#each l', 'each'], ['#with o', 'with'], ['#if t', 'if'], ['#l', 'l'], ['#each @root.l', 'each']]);
    return `${r()}{{${open}}}${r()}{{a}}{{/${close}}}${blanks()}`;
  },
  'block parameters': () => pick([
    () => `{{#each l as |item i|}}{{i}}:{{item.a}}${out('item.n')}{{#each item.tags as |tag j|}}{{i}}{{j}}{{tag}}{{item.a}}{{/each}};{{/each}}`,
    () => `{{#with o as |p|}}{{p.a}}${out('p.none')}{{a}}{{#each tags as |a|}}{{a}}{{../a}}{{p.n}}{{/each}}{{/with}}`,
    () => `{{#each m as |v k|}}{{k}}={{v}}${blanks()}{{/each}}`,
    () => `{{#l as |item i|}}{{i}}{{item.a}}{{this.a}}{{/l}}${blanks()}`,
    () => `{{#each l as |a|}}{{a.a}}{{this.a}}{{./a}}{{#with ../o as |b|}}{{b.a}}{{a.n}}{{/with}}{{/each}}${body()}`,
  ])(),
  'null element': () => [`{{#${pick(['each s', 'each s as |x i|'])}}}[{{this}}{{a}}${out(pick(['../a', 'this.a', '@index', '@root.a', '.']))}{{#if this}}y{{else}}n{{/if}}]{{/each}}${blanks()}`,
    { a: text(), s: pick([[null], [null, text()], [1, null, 'x'], [null, null], [false, null, 0]]) }],
  'empty object': () => [pick([
    () => `{{#if e}}yes{{else}}no{{/if}}${blanks()}`, () => `{{#unless e}}no{{else}}yes{{/unless}}`, () => `{{#with e}}in{{none}}${out('../a')}{{else}}no{{/with}}`,
    () => `{{#e}}in{{a}}${blanks()}{{/e}}`, () => `{{^e}}no{{else}}yes{{/e}}`, () => `{{#each e}}x{{else}}none{{/each}}${body()}`,
  ])(), { ...data(), e: {} }],
  'falsy': () => {
    const v = pick([[], '', 0, null, false, undefined]);
    const d = { a: text() };
    if (v !== undefined) d.v = v;
    const t = pick(['#if v', '#unless v', '#with v', '#v', '^v', '#each v', '#if v includeZero=true', '#unless v includeZero=true']);
    const name = t.slice(1).split(' ')[0];
    return [`${blanks()}{{${t}}}A{{this.a}}{{^}}B${out('a')}{{/${name}}}${blanks()}`, d];
  },
  'else of if': () => `{{#if ${pick(['t', 'f', 'none', 'l', 's'])}}}${body()}${pick(['{{else}}', '{{^}}', '{{~else}}', '{{else~}}', '{{~^~}}'])}${body()}{{/if}}${blanks()}`,
  'else of unless': () => `{{#unless ${pick(['t', 'f', 'none', 'l'])}}}${body()}${pick(['{{else}}', '{{^}}', '{{ else }}'])}${body()}{{/unless}}${blanks()}`,
  'else of each': () => `{{#each ${pick(['l', 's', 'f', 'none', 'm', 'a', 'n'])}}}[{{@index}}]${blanks()}{{else}}${body()}{{/each}}`,
  'else of with': () => `{{#with ${pick(['o', 'f', 'none', 'e', 'n', 'a'])}}}[${out(pick(['n', 'a']))}]${blanks()}{{else}}${body()}{{/with}}`,
  'else of section': () => { const v = pick(['o', 'f', 'none', 'l', 's', 't', 'n']); return `{{#${v}}}[{{a}}${blanks()}]${pick(['{{else}}', '{{^}}'])}${body()}{{/${v}}}`; },
  'else of inverse': () => { const v = pick(['o', 'f', 'none', 'l', 's']); return `{{^${v}}}${body()}{{else}}[{{n}}${blanks()}]{{/${v}}}${blanks()}`; },
  'else if': () => {
    const tilde = () => pick(['', '', '~']);
    let t = `${blanks()}{{${tilde()}#if f}}${body()}`;
    for (let n = 1 + int(3); n > 0; n--) t += `{{${tilde()}else ${pick(['if t', 'if none', 'unless t', 'with o', 'each l', 'if f'])}${tilde()}}}${body()}`;
    if (chance(0.7)) t += `{{${tilde()}else${tilde()}}}${body()}`;
    return `${t}{{${tilde()}/if${tilde()}}}${blanks()}`;
  },
  'length': () => pick([() => out(pick(['l.length', 's.length', 'a.length', 'o.tags.length', 'none.length', 'm.length', 'n.length'])) + blanks(), () => `{{#if ${pick(['l', 's', 'a'])}.length}}${body()}{{else}}0{{/if}}`, () => `{{#each l}}{{tags.length}}/{{../l.length}} {{/each}}`])(),
  'carriage return': () => pick([() => `{{a\r}}${blanks()}`, () => `{{\r\na\r\n}}`, () => `{{#if\r\nt}}\r\n${body()}\r\n{{/if}}\r\n`, () => `{{#each l\r}}{{\ra}}{{/each}}`, () => `{{lookup o\r\n"a"}}`, () => `{{#each\rs\ras\r|x|}}{{x}}{{/each\r}}`])() + body(),
  'each object': () => `{{#each ${pick(['m', 'o', 'w', 'e'])}}}{{@key}}${pick(['', '={{this}}', '{{@index}}{{@first}}{{@last}}', '{{../a}}'])},{{/each}}${blanks()}`,
  'loop variables': () => `{{#each ${pick(['l', 's'])}}}{{@index}}${pick(['{{@first}}', '{{@last}}', '{{@key}}', '{{#if @first}}F{{/if}}', '{{#unless @last}},{{/unless}}'])}${pick(['', '{{#each tags}}{{@../index}}.{{@index}}{{/each}}', '{{#with this}}{{@index}}{{/with}}', '{{#if this}}{{@index}}{{/if}}'])} {{/each}}{{@index}}`,
  'lookup': () => pick([() => `{{lookup o "${pick(['a', 'n', 'none'])}"}}`, () => `{{#each s}}{{lookup ../s @index}}{{/each}}`, () => `{{lookup l ${pick(['0', '1', '-1', '99'])}}}${blanks()}`, () => `{{#with (lookup l 0)}}{{a}}{{/with}}`, () => `{{#if (lookup m "k1")}}y{{else}}n{{/if}}`, () => `{{lookup (lookup l 0) "a"}}`, () => `{{lookup s "length"}}${body()}`].slice(0, 7))(),
  'segments': () => out(pick(['l.[0].a', 's.[1]', '[a]', 'o.[a]', 'o/a', './o/z/deep', 's.[99]', 'this/o.a', 'l.0.a', '"a"', "'n'", 'this.[n]', 'o.[none here]'])) + blanks() + body(),
  'sections': () => pick([() => `{{#${pick(['t', 'f', 'a', 'n', 'o', 'l', 's'])}}}`, () => `{{# o}}`])().replace(/^(\{\{#\s?)(\w+)(\}\})$/, (m, p, v) => `${m}<${blanks()}{{.}}{{a}}>{{/${v}}}`).replace('{{.}}', () => (chance(0.2) ? '{{this}}' : '')) + blanks(),
  'whitespace control': () => `${blanks()}{{~#if ${pick(['t', 'f'])}~}}${blanks()}{{~a~}}${blanks()}{{~else~}}${blanks()}b${blanks()}{{~/if~}}${blanks()}${pick(['{{~! c ~}}', '{{!-- c --}}', '{{~!-- c --~}}', ''])}${blanks()}.`,
  'standalone': () => `x\n${pick(['', '  ', '\t'])}{{#if ${pick(['t', 'f'])}}}${pick(['', ' ', '\r'])}\n  one\n${pick(['', '  '])}{{else}}${pick(['', ' '])}\n two\n${pick(['', ' '])}{{/if}}${pick(['', '  '])}\n${pick(['{{! comment }}\n', '  {{!-- c --}}  \n', ' {{#each s}}\n - {{this}}\n{{/each}}\n', ''])}end`,
  'comments': () => `${blanks()}${pick(['{{! a }}', '{{!-- {{a}} --}}', '{{!}}', '{{!----}}', '{{! multi\nline }}', '{{!-- -- --}}', '{{!a--}}'])}${blanks()}${out('a')}${blanks()}${pick(['{{! end }}', ''])}`,
  'escaped mustache': () => `${pick(['\\{{a}}', '\\\\{{a}}', '\\\\\\{{a}}', '\\{{{a}}}', 'x\\y', '\\{{#if}}'])}${blanks()}${out('n')}${pick(['', '\\{{n}}', '\\\\{{n}}'])}`,
  'html escaping': () => [`{{v}}|{{{v}}}|{{&v}}|<b title="{{v}}">${blanks()}`, { v: Array.from({ length: 1 + int(4) }, text).join('') }],
  'literal arguments': () => pick([() => `{{#if ${pick(['true', 'false', '0', '1', '""', '"x"', 'null', 'undefined'])}}}y{{else}}n{{/if}}`, () => `{{#each ${pick(['"abc"', '5', 'null', 'true'])}}}x{{else}}n{{/each}}`, () => `{{#with ${pick(['"abc"', '5', 'null', 'false'])}}}{{this}}{{else}}n{{/with}}`])() + body(),
  'refused': () => pick(['{{#if a}}', '{{/if}}', '{{#if a}}{{/each}}', '{{a', '{{{a}}', '{{a}}}', '{{a b}}', '{{#if}}x{{/if}}', '{{#if a n}}x{{/if}}', '{{else}}', '{{l.0}}', '{{a.}}', '{{#a}}{{/n}}', '{{a!}}', '{{o.a n}}', '{{#each}}{{/each}}', '{{! a', '{{!-- a }}', '{{a..b}}', '{{o/../a}}', '{{"a}}', '{{lookup (a}}', '{{#with}}{{/with}}', '{{}}', '{{#}}{{/}}', '{{a.this}}', '{{none n}}', '{{each l}}', '{{with o}}x']) + blanks() + body(),
};
constructs['mixed'] = () => {
  const names = Object.keys(constructs).filter((n) => !['mixed', 'refused'].includes(n));
  let t = '';
  for (let i = 0; i < 2; i++) {
    const part = constructs[pick(names)]();
    t += Array.isArray(part) ? part[0] : part;
  }
  return t;
};
constructs['differences'] = () => [pick(['{{o}}', '{{#each u}}{{@key}}{{/each}}', '{{#each u}}{{@key}}={{this}} {{/each}}', '{{s}}', '{{#each l}}{{this}}{{/each}}']), { ...data(), u: chance(0.5) ? { b: 1, a: 2 } : { a: 1, b: 2 }, s: [{}, 1] }];

const cases = [];
const seen = new Set();
for (const construct of Object.keys(constructs)) {
  const wanted = { mixed: 500, refused: 70, differences: 20 }[construct] || 75;
  for (let n = 0, tries = 0; n < wanted && tries < 20 * wanted; tries++) {
    let made = constructs[construct]();
    if (!Array.isArray(made)) made = [made, data()];
    const [template, context] = made;
    const key = template + JSON.stringify(context);
    if (seen.has(key)) continue;
    seen.add(key);
    const c = { id: cases.length + 1, construct, template, data: context };
    try {
      c.output = Handlebars.compile(template)(context);
    } catch (e) {
      if (construct !== 'refused') continue;
      c.error = true;
    }
    if (construct === 'refused' && !c.error) continue;
    cases.push(c);
    n++;
  }
}
process.stdout.write('[\n' + cases.map((c) => JSON.stringify(c)).join(',\n') + '\n]\n');
