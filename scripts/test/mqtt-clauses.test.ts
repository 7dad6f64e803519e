import { describe, expect, test } from 'vitest';
import {
  citationsIn,
  MQTT_CLAUSES_PAGE,
  mqttClausesPage,
  readCitingFiles,
  readMqttClauses,
} from '../mqtt-clauses.ts';
import type { MqttClauses } from '../mqtt-clauses.ts';
import { readText, ROOT } from '../source.ts';

const CLAUSES: MqttClauses = {
  '3.1.1': {
    'MQTT-1.1.1-1': { kind: 'codec', says: 'one' },
    'MQTT-1.1.1-2': { kind: 'codec', says: 'old', differs: true },
    'MQTT-1.1.1-3': { kind: 'client-only', says: 'for clients' },
  },
  '5.0': {
    'MQTT-1.1.1-1': { kind: 'codec', says: 'one' },
    'MQTT-1.1.1-2': { kind: 'session', says: 'new', differs: true },
    'MQTT-1.1.1-4': { kind: 'session', says: 'new alone' },
  },
};

function cite(...texts: readonly string[]) {
  const files = texts.map((text, index): [string, string] => [
    `packages/server/test/f${index}.test.ts`,
    text,
  ]);
  return citationsIn(CLAUSES, new Map(files));
}

describe('citations of MQTT', () => {
  test('count for every version that has the number', () => {
    const { cited } = cite('[MQTT-1.1.1-1] and [MQTT-1.1.1-4]');
    expect([...cited.keys()]).toEqual([
      '3.1.1 MQTT-1.1.1-1',
      '5.0 MQTT-1.1.1-1',
      '5.0 MQTT-1.1.1-4',
    ]);
  });

  test('say which version where the number means two things', () => {
    const { cited, unclear, faults } = cite('[MQTT-1.1.1-2]', '[MQTT5-1.1.1-2]');
    expect([...cited.keys()]).toEqual(['5.0 MQTT-1.1.1-2']);
    expect(unclear).toEqual(['server/f0: [MQTT-1.1.1-2]']);
    expect(faults).toEqual([]);
  });

  test.each(['[MQTT-9.9.9-9]', '[MQTT4-1.1.1-4]'])('are no others than statements: %s', (text) => {
    expect(cite(text).faults).toEqual([
      `packages/server/test/f0.test.ts: ${text} is no statement of that version`,
    ]);
  });

  test('are counted without what binds clients alone', () => {
    const page = mqttClausesPage(CLAUSES, cite('[MQTT-1.1.1-1]'));
    expect(page).toContain('| 3.1.1 | 2 | 1 | 50 % |');
    expect(page).toContain('| 5.0 | 3 | 1 | 33 % |');
    expect(page).toContain('| MQTT-1.1.1-1 | one | codec | server/f0 |');
  });
});

describe('a statement that can not be tested', () => {
  const clauses: MqttClauses = {
    '3.1.1': {},
    '5.0': {
      'MQTT-1.1.1-1': { kind: 'codec', says: 'one' },
      'MQTT-1.1.1-2': { kind: 'session', says: 'where there is none', untested: 'there is one' },
    },
  };

  test('is not counted, and it is said why', () => {
    const page = mqttClausesPage(clauses, citationsIn(clauses, new Map()));
    expect(page).toContain('| 5.0 | 1 | 0 | 0 % |');
    expect(page).toContain('| MQTT-1.1.1-2 | where there is none | session | there is one |');
  });
});

describe('the statements of MQTT', () => {
  const clauses = readMqttClauses();

  test('are tested, unless they bind clients alone or it is said why not', () => {
    const { cited } = citationsIn(clauses, readCitingFiles());
    const wrong = (['3.1.1', '5.0'] as const).flatMap((version) =>
      Object.entries(clauses[version])
        .filter(([, { kind }]) => kind !== 'client-only')
        .map(([number, { untested }]) => ({ name: `${version} ${number}`, untested }))
        .filter(({ name, untested }) => cited.has(name) !== (untested === undefined)),
    );
    expect(wrong).toEqual([]);
  });

  test('are marked where their numbers mean two things', () => {
    for (const [number, { differs }] of Object.entries(clauses['3.1.1'])) {
      expect(clauses['5.0'][number]?.differs, number).toBe(differs);
    }
  });

  test('and their tests are what the page shows', () => {
    const citations = citationsIn(clauses, readCitingFiles());
    expect(citations.faults).toEqual([]);
    expect(readText(ROOT, MQTT_CLAUSES_PAGE)).toBe(mqttClausesPage(clauses, citations));
  });
});
