import { ManualClock } from '@trunkline/testkit';
import { expect, it } from 'vitest';
import type { LogFields } from '../../../../src/observe/log.ts';
import { silentLog } from '../../../../src/observe/log.ts';
import { REASONS } from '../../../../src/protocols/mqtt/codec/reasons.ts';
import {
  ENDING_LINES_MAX,
  ENDING_WINDOW_MS,
  EndingLog,
} from '../../../../src/protocols/mqtt/connection/ending-log.ts';
import type { Ending } from '../../../../src/protocols/mqtt/connection/ending-log.ts';
import { startMqtt } from '../mqtt-setup.ts';

const WRONG: Ending = {
  wasAccepted: false,
  reason: REASONS.badUserNameOrPassword,
  message: 'the user name or the password is wrong',
  remoteAddress: '192.0.2.1',
  clientId: 'pump-1',
  user: 'pump',
};

function setUp() {
  const clock = new ManualClock();
  const infos: [LogFields, string][] = [];
  const debugs: [LogFields, string][] = [];
  const log = {
    ...silentLog,
    info: (fields: LogFields, message: string) => void infos.push([fields, message]),
    debug: (fields: LogFields, message: string) => void debugs.push([fields, message]),
  };
  return { clock, log, infos, debugs, endings: new EndingLog({ clock, log }) };
}

it('says who was not accepted, and why', () => {
  const { endings, infos } = setUp();
  endings.tell(WRONG);
  const { wasAccepted: _, ...fields } = WRONG;
  expect(infos).toEqual([[fields, 'an MQTT client was not accepted']]);
});

it('leaves out what is not known, and cuts names that are long', () => {
  const { endings, infos } = setUp();
  endings.tell({ ...WRONG, clientId: 'c'.repeat(60_000), user: undefined });
  expect(infos[0]?.[0]).toEqual({
    reason: WRONG.reason,
    message: WRONG.message,
    remoteAddress: WRONG.remoteAddress,
    clientId: `${'c'.repeat(64)}…`,
  });
});

it.each(['keepAliveTimeout', 'serverShuttingDown'] as const)(
  'tells of %s at debug alone: it is part of the life of devices',
  (name) => {
    const { endings, infos, debugs } = setUp();
    endings.tell({ ...WRONG, wasAccepted: true, reason: REASONS[name] });
    expect(infos).toEqual([]);
    expect(debugs.map(([, words]) => words)).toEqual([
      'an MQTT connection was ended by the server',
    ]);
  },
);

it('tells of a storm no more than can be read, and how many were left out', async () => {
  const { clock, endings, infos, debugs } = setUp();
  for (let count = 0; count < ENDING_LINES_MAX + 7; count += 1) endings.tell(WRONG);
  expect(infos.length).toBe(ENDING_LINES_MAX);
  expect(debugs.length).toBe(7);
  await clock.pass(ENDING_WINDOW_MS);
  endings.tell(WRONG);
  expect(infos.slice(ENDING_LINES_MAX).map(([fields, words]) => [fields['count'], words])).toEqual([
    [7, 'more MQTT connections were ended than are told; logLevel debug tells each'],
    [undefined, 'an MQTT client was not accepted'],
  ]);
});

it('is told by connections whom CONNECT named, and who goes on', async () => {
  const { log, infos } = setUp();
  const { peer } = await startMqtt({ log });
  await peer().connect({ clientId: 'c', userName: 'ann', password: 'nobody' });
  await peer().connect({ clientId: 'd' });
  await peer().connect({ clientId: 'd' });
  expect(infos).toMatchObject([
    [{ clientId: 'c', user: 'ann' }, 'an MQTT client was not accepted'],
    [
      { clientId: 'd', message: 'the same client identifier connected again' },
      'an MQTT connection was ended by the server',
    ],
  ]);
});
