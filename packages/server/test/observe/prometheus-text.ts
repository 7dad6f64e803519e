/**
 * A strict reader of the text that Prometheus scrapes, version 0.0.4: whatever is not exactly in
 * form throws, so that a test of it needs no more words.
 */

/** One sample: its labels and its number. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** One metric with what stands under it. */
export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly samples: Sample[];
}

const HELP = /^# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) (\S.*)$/;
const TYPE = /^# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram)$/;
const SAMPLE =
  /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (-?(?:\d+(?:\.\d+)?(?:e[+-]\d+)?)|Nan|[+-]Inf)$/;
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/;

/** Reads a whole page. @throws {Error} for the first line that is wrong. */
export function parseMetrics(text: string): Map<string, Family> {
  if (!text.endsWith('\n')) throw new Error('expected a line feed at the end');
  const families = new Map<string, Family>();
  let family: Family | undefined;
  let help: readonly [name: string, help: string] | undefined;
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const [, helpName, helpText] = HELP.exec(line) ?? [];
    const [, typeName, type] = TYPE.exec(line) ?? [];
    if (helpName !== undefined && helpText !== undefined) {
      if (families.has(helpName)) throw new Error(`${helpName} stands there twice`);
      help = [helpName, helpText];
    } else if (typeName !== undefined && type !== undefined) {
      if (help?.[0] !== typeName) throw new Error(`${typeName} has no HELP before its TYPE`);
      family = { name: typeName, help: help[1], type, samples: [] };
      families.set(typeName, family);
    } else {
      family = addSample(family, line);
    }
  }
  for (const one of families.values()) checkFamily(one);
  return families;
}

function addSample(family: Family | undefined, line: string): Family {
  const [, name = '', labels = '', value = ''] = SAMPLE.exec(line) ?? [];
  if (name === '') throw new Error(`expected a sample, got ${line}`);
  if (family === undefined) throw new Error(`${name} stands before any TYPE`);
  const suffix = family.type === 'histogram' ? '(_bucket|_sum|_count)' : '';
  if (!new RegExp(`^${family.name}${suffix}$`).test(name)) {
    throw new Error(`${name} stands under ${family.name}`);
  }
  family.samples.push({
    name,
    labels: parseLabels(labels),
    value: Number(value.replace('Inf', 'Infinity')),
  });
  return family;
}

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  let rest = text;
  while (rest !== '') {
    const match = LABEL.exec(rest);
    if (match === null) throw new Error(`expected a label, got ${rest}`);
    const [whole, name = '', value = ''] = match;
    if (Object.hasOwn(labels, name)) throw new Error(`the label ${name} stands there twice`);
    labels[name] = value;
    rest = rest.slice(whole.length);
  }
  return labels;
}

function checkFamily({ name, type, samples }: Family): void {
  const series = new Set(samples.map((sample) => JSON.stringify([sample.name, sample.labels])));
  if (series.size !== samples.length) throw new Error(`${name} has a series twice`);
  if (type === 'counter' && samples.some(({ value }) => value < 0)) {
    throw new Error(`${name} is a counter below 0`);
  }
}
