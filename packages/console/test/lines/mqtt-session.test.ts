import { expect, test } from 'vitest';
import { MqttSession } from '../../src/lines/mqtt-session.ts';

function memory(): Pick<Storage, 'getItem' | 'setItem'> {
  const kept = new Map<string, string>();
  return {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => void kept.set(key, value),
  };
}

test('a page that is loaded again has the name that it had, and another tab has another', () => {
  const tab = memory();
  const { clientId } = new MqttSession(tab);
  expect(clientId).toMatch(/^console-[0-9a-z]+$/);
  expect(new MqttSession(tab).clientId).toBe(clientId);
  expect(new MqttSession(memory()).clientId).not.toBe(clientId);
});

test('who was taken over has another name from then on, and no session', () => {
  const tab = memory();
  const session = new MqttSession(tab);
  const { clientId } = session;
  session.isKept = true;
  session.rename();
  expect(session.isKept).toBe(false);
  expect(session.clientId).not.toBe(clientId);
  expect(new MqttSession(tab).clientId).toBe(session.clientId);
});

test('a page that may store nothing has a name as long as it lives', () => {
  const full = {
    getItem: () => null,
    setItem() {
      throw new Error('full');
    },
  };
  const session = new MqttSession(full);
  expect(session.clientId).toBe(session.clientId);
});
