import { z } from 'zod';

/** Messages between a Kerberos login and its process, one per line. */
export const loginRequest = z.strictObject({
  user: z.string(),
  password: z.string(),
  service: z.string(),
  hash: z.string().optional(),
});

export const serverAnswer = z.strictObject({ token: z.string() });

export const loginAnswer = z.union([
  /** Message to the server, base64. */
  z.strictObject({ token: z.string() }),
  /** The server has the service's key. */
  z.strictObject({ proved: z.literal(true) }),
  z.strictObject({
    failed: z.strictObject({
      stage: z.enum(['library', 'ticket', 'service', 'context']),
      /** Numbers of RFC 4120 and MIT's krb5_err; 0 without a number. */
      number: z.number(),
      words: z.string(),
    }),
  }),
]);
export type LoginAnswer = z.infer<typeof loginAnswer>;
export type LoginFailure = Extract<LoginAnswer, { failed: unknown }>['failed'];
