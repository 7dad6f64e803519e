/** What is configured of TLS. */
import { z } from 'zod';
import { field } from '../config/field.ts';

const file = z.string().min(1).exactOptional();

/** HTTPS instead of HTTP; with neither of these the server speaks HTTP. */
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
  })
  .superRefine(({ cert, key, dev }, context) => {
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
