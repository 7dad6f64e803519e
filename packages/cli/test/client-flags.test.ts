import { Command } from 'commander';
import { expect, test } from 'vitest';
import { addClientFlags, clientTarget, mqttTarget } from '../src/client-flags.ts';
import { fakeIo } from './support/io.ts';

const ENV = { TRUNKLINE_URL: 'http://env', TRUNKLINE_TOKEN: 'e' };

test.each([
  [[], {}, { url: 'http://127.0.0.1:8080' }],
  [[], ENV, { url: 'http://env', token: 'e' }],
  [['--url', 'http://flag', '--token', 'f'], ENV, { url: 'http://flag', token: 'f' }],
  [[], { TRUNKLINE_URL: '', TRUNKLINE_TOKEN: '' }, { url: 'http://127.0.0.1:8080' }],
])('flags %j over %j give %j', (args, env, target) => {
  const command = addClientFlags(new Command('x'));
  command.parse(args, { from: 'user' });
  expect(clientTarget(command, fakeIo({ env }))).toEqual(target);
});

test.each([
  [[], {}, { url: 'mqtt://127.0.0.1:1883' }],
  [[], { ...ENV, TRUNKLINE_MQTT_URL: 'mqtt://env' }, { url: 'mqtt://env', token: 'e' }],
  [['--url', 'mqtts://flag'], { TRUNKLINE_MQTT_URL: 'mqtt://env' }, { url: 'mqtts://flag' }],
])('over MQTT flags %j over %j give %j', (args, env, target) => {
  const command = addClientFlags(new Command('x'));
  command.parse(args, { from: 'user' });
  expect(mqttTarget(command, fakeIo({ env }))).toEqual(target);
});
