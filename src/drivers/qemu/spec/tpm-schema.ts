import { z } from 'zod';

/** A guest's TPM as it travels; a part of the description (`schema.ts`). */

const tpmId = z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/);
export const TPM_MODES = ['aes-128-cbc', 'aes-256-cbc'] as const;
export const TPM_KDFS = ['sha512', 'pbkdf2'] as const;

/** How something is encrypted; with which passphrase is never said. */
const tpmKey = z.strictObject({ mode: z.enum(TPM_MODES), kdf: z.enum(TPM_KDFS) });
export type TpmKey = z.infer<typeof tpmKey>;

/** A TPM that a program beside QEMU serves; what it holds comes with the memory. */
export const tpm = z.strictObject({
  id: tpmId,
  /** The character device by which QEMU reaches that program. */
  chardev: tpmId,
  version: z.enum(['1.2', '2.0']),
  /** Of what the program writes to its disk. Absent: that is not encrypted. */
  key: tpmKey.optional(),
  /** Of what it gives away and takes. */
  migrationKey: tpmKey.optional(),
});
export type TpmSpec = z.infer<typeof tpm>;
