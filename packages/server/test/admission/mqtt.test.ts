import type { PeerCertificate, TLSSocket } from 'node:tls';
import { CodedError } from '@trunkline/wire';
import { MemoryLink } from '@trunkline/testkit';
import { describe, expect, test } from 'vitest';
import { admitMqtt } from '../../src/admission/mqtt.ts';
import type { MqttGateParts } from '../../src/admission/mqtt.ts';
import type { Authentication } from '../../src/auth/authenticator.ts';
import type { Identity } from '../../src/auth/identity.ts';
import type { ClientVerdict } from '../../src/tls/client-certificates.ts';
import { SILENT } from '../../src/transports/transport.ts';
import { setUp } from '../hub/hub-setup.ts';

const ALICE: Identity = { kind: 'user', user: 'alice', grants: new Map() };
const SHOWN = { kind: 'verified', certificate: {} as PeerCertificate } as const;

function setUpAdmission(more: Partial<MqttGateParts> = {}) {
  const openings: { readonly identity?: Identity }[] = [];
  const { clock, turn } = setUp();
  const admit = admitMqtt({
    protocol: {
      open(_link, opening) {
        openings.push(opening);
        return SILENT;
      },
    },
    authenticator: { fromCertificate: () => ({ kind: 'identity', identity: ALICE }) },
    development: false,
    refusal: () => undefined,
    ...more,
  });
  return { admit, openings, link: new MemoryLink({ clock, turn }) };
}

const asks = (verdict: ClientVerdict, found?: Authentication): Partial<MqttGateParts> => ({
  certificates: { judge: () => verdict },
  ...(found === undefined ? {} : { authenticator: { fromCertificate: () => found } }),
});

const OVER_TLS = { remoteAddress: '192.0.2.7', secured: {} as TLSSocket };

describe('a connection for MQTT', () => {
  test('without TLS has nobody until CONNECT tells', () => {
    const { admit, openings, link } = setUpAdmission(asks(SHOWN));
    const admission = admit({ remoteAddress: '192.0.2.7' });
    if (admission.kind === 'refused') throw new Error(admission.message);
    expect(admission.open(link)).toBe(SILENT);
    expect(openings).toEqual([{}]);
  });

  test('with a certificate that was verified is its user’s [AUTH-12]', () => {
    const { admit, openings, link } = setUpAdmission(asks(SHOWN));
    const admission = admit(OVER_TLS);
    if (admission.kind === 'refused') throw new Error(admission.message);
    admission.open(link);
    expect(openings).toEqual([{ identity: ALICE }]);
  });

  test.each<[string, Partial<MqttGateParts>]>([
    ['where nobody is asked for one', {}],
    ['that shows none', asks({ kind: 'none' })],
    ['whose certificate says nothing', asks(SHOWN, { kind: 'none' })],
  ])('over TLS %s has nobody either', (_what, parts) => {
    const { admit, openings, link } = setUpAdmission(parts);
    const admission = admit(OVER_TLS);
    if (admission.kind === 'refused') throw new Error(admission.message);
    admission.open(link);
    expect(openings).toEqual([{}]);
  });

  test.each<[string, Partial<MqttGateParts>, string]>([
    ['without the certificate that it needs', asks({ kind: 'refused', reason: 'x' }), 'x'],
    [
      'whose certificate names nobody',
      asks(SHOWN, { kind: 'refused', error: new CodedError('unauthenticated', 'y') }),
      'y',
    ],
    [
      'to a node that drains',
      { refusal: () => new CodedError('draining', 'no new clients') },
      'no new clients',
    ],
  ])('%s is not let in [DEV-6]', (_what, parts, message) => {
    const { admit } = setUpAdmission(parts);
    expect(admit(OVER_TLS)).toMatchObject({ kind: 'refused', message, tellInside: false });
  });

  test.each([
    ['127.0.0.1', 'welcome'],
    ['127.9.9.9', 'welcome'],
    ['::1', 'welcome'],
    ['192.0.2.7', 'refused'],
    ['2001:db8::1', 'refused'],
  ])('from %s is %s in development mode [DEV-7]', (remoteAddress, kind) => {
    const { admit } = setUpAdmission({ development: true });
    expect(admit({ remoteAddress }).kind).toBe(kind);
  });
});
