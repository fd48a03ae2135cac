import { z } from 'zod';

const tpmId = z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/);
export const TPM_MODES = ['aes-128-cbc', 'aes-256-cbc'] as const;
export const TPM_KDFS = ['sha512', 'pbkdf2'] as const;

/** Encryption parameters; the passphrase is never sent. */
const tpmKey = z.strictObject({ mode: z.enum(TPM_MODES), kdf: z.enum(TPM_KDFS) });
export type TpmKey = z.infer<typeof tpmKey>;

/** TPM of a process next to QEMU; its state is part of the memory stream. */
export const tpm = z.strictObject({
  id: tpmId,
  chardev: tpmId,
  version: z.enum(['1.2', '2.0']),
  key: tpmKey.optional(),
  migrationKey: tpmKey.optional(),
});
export type TpmSpec = z.infer<typeof tpm>;
