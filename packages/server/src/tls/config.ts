/** What is configured of TLS. */
import { z } from 'zod';
import { field } from '../config/field.ts';

const file = z.string().min(1).exactOptional();

/** HTTPS instead of HTTP, and MQTT over TLS; without a certificate the server speaks HTTP. */
export const tlsSchema = z
  .strictObject({
    cert: field(
      file,
      'File with the certificate and its chain, in PEM; read again when it changes.',
      { env: 'TRUNKLINE_TLS_CERT', flag: '--tls-cert <file>' },
    ),
    key: field(file, 'File with the key of the certificate, in PEM, without a passphrase.', {
      env: 'TRUNKLINE_TLS_KEY',
      flag: '--tls-key <file>',
    }),
    dev: field(
      z.boolean().default(false),
      'Serve HTTPS with a self-signed certificate made on the spot; its SHA-256 is printed.',
      { env: 'TRUNKLINE_TLS_DEV', flag: '--tls-dev' },
    ),
    clientCa: field(
      z.array(z.string().min(1)).default([]),
      'Files with the authorities that sign client certificates, in PEM, for MQTT over TLS; read ' +
        'again when they change.',
      { env: 'TRUNKLINE_TLS_CLIENT_CA' },
    ),
    clientCertificate: field(
      z.enum(['none', 'request', 'require']).default('none'),
      'Whether MQTT over TLS asks clients for a certificate of these authorities: request lets in ' +
        'those without, who log in as others do; require ends their handshake. One that does not ' +
        'hold is refused either way.',
      { env: 'TRUNKLINE_TLS_CLIENT_CERTIFICATE' },
    ),
  })
  .superRefine(({ clientCa, clientCertificate }, context) => {
    // Authorities that nobody is held against look like a lock and are none.
    if (clientCa.length > 0 === (clientCertificate !== 'none')) return;
    const [path, message] =
      clientCa.length > 0
        ? ['clientCertificate', 'must be request or require where tls.clientCa is given']
        : ['clientCa', `must be given where tls.clientCertificate is ${clientCertificate}`];
    context.addIssue({ code: 'custom', path: [path], message });
  })
  .superRefine(({ cert, key, dev, clientCertificate }, context) => {
    if (clientCertificate !== 'none' && !dev && (cert ?? key) === undefined) {
      const message = 'needs TLS: give --tls-cert and --tls-key, or --tls-dev';
      context.addIssue({ code: 'custom', path: ['clientCertificate'], message });
    }
    if (dev && (cert ?? key) !== undefined) {
      const message = 'a certificate of your own and --tls-dev exclude each other';
      context.addIssue({ code: 'custom', path: ['dev'], message });
    }
    if ((cert === undefined) === (key === undefined)) return;
    const missing = cert === undefined ? 'cert' : 'key';
    const message = `must be given too: --tls-cert and --tls-key belong together`;
    context.addIssue({ code: 'custom', path: [missing], message });
  });

/** TLS, decided. */
export type TlsConfig = z.output<typeof tlsSchema>;
