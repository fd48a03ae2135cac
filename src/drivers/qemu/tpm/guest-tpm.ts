import path from 'node:path';
import { godwitError, toGodwitError } from '../../../errors.ts';
import { pass, refusal, type NamedCheck } from '../../../migration/preflight/check.ts';
import { checkSocketPath } from '../../../protocol/socket-path.ts';
import { findSwtpm, listSwtpm } from '../guest/tpm.ts';
import { TPM_SOCKET } from '../spec/names.ts';
import type { GuestSpec } from '../spec/schema.ts';
import type { TpmSpec } from '../spec/tpm-schema.ts';
import { inCgroup, type Limits } from '../user/cgroup.ts';
import type { RunAs } from '../user/confine.ts';
import { helperUser } from '../user/guest-user.ts';
import type { QemuUser } from '../user/ids.ts';
import {
  asideFor,
  keepTpmDir,
  makeTpmDir,
  tpmDirOf,
  tpmsDirOf,
  unmakeTpmDir,
} from './directory.ts';
import { keyFileOf, makeTpmsDir, swtpmProgram, trySwtpm } from './program.ts';
import { endSwtpm, startSwtpm } from './start.ts';

export interface TpmOptions {
  readonly program?: string | undefined;
  readonly keyDir?: string | undefined;
}

interface Where {
  readonly host: string;
  readonly guest: string;
  readonly guestDir: string;
}

/** TPM of an arriving guest: its swtpm process, its directory, and their removal. */
export class GuestTpm {
  readonly #where: Where;
  readonly #options: TpmOptions;
  readonly #user: QemuUser;

  constructor(where: Where, options: TpmOptions, user: QemuUser) {
    this.#where = where;
    this.#options = options;
    this.#user = user;
  }

  get #socket(): string {
    return path.join(this.#where.guestDir, TPM_SOCKET);
  }

  /** Tests whether such a TPM can be served here. Empty for a guest without a TPM. */
  async checks({ tpm }: Pick<GuestSpec, 'tpm'>, signal: AbortSignal): Promise<NamedCheck[]> {
    if (tpm === undefined) return [];
    try {
      const { program, keyFile } = await this.#means(tpm);
      const { guestDir, host } = this.#where;
      checkSocketPath(this.#socket);
      await this.#whyTaken();
      await asideFor(guestDir);
      const within = tpmsDirOf(guestDir);
      await makeTpmsDir(within);
      const as = await helperUser(this.#user, path.dirname(guestDir));
      await trySwtpm(tpm, { host, program, keyFile, within, as }, signal);
      const how = keyFile === undefined ? '' : ', encrypted with the passphrase that it has there';
      const evidence = `${tpm.id} (TPM ${tpm.version}) is served by ${program}, its state in ${tpmDirOf(guestDir)}${how}`;
      return [pass('devices', evidence, 'destination')];
    } catch (thrown) {
      signal.throwIfAborted();
      return [refusal('devices', toGodwitError(thrown), 'destination')];
    }
  }

  /** Starts swtpm before the QEMU that connects to it. */
  async start(
    tpm: TpmSpec,
    { as, limits }: { readonly as: RunAs | undefined; readonly limits: Limits | undefined },
    signal: AbortSignal,
  ): Promise<void> {
    const { host, guestDir } = this.#where;
    const { program, keyFile } = await this.#means(tpm);
    await this.undo(signal);
    const stateDir = await makeTpmDir(guestDir, as);
    const bounded = (command: Parameters<typeof inCgroup>[2]) =>
      inCgroup(guestDir, limits, command);
    const socket = this.#socket;
    const site = { host, program, stateDir, socket, directory: guestDir, keyFile, as, bounded };
    await startSwtpm(tpm, site, signal);
  }

  /** Throws GODWIT_HYPERVISOR if swtpm has ended; otherwise the source would notice only at the very end. */
  async assertServed({ tpm }: Pick<GuestSpec, 'tpm'>): Promise<void> {
    if (tpm === undefined || (await findSwtpm(this.#socket)) !== undefined) return;
    const { host } = this.#where;
    const reason = `it has ended, and ${tpm.id} is served by nobody`;
    throw godwitError('GODWIT_HYPERVISOR', {
      hypervisor: 'swtpm',
      host,
      command: 'start',
      reason,
    });
  }

  async keep(): Promise<void> {
    await keepTpmDir(this.#where.guestDir);
  }

  /** Ends the program after its QEMU. The guest may have run here, so no other host may have the state of its TPM. */
  async end(signal: AbortSignal): Promise<void> {
    await endSwtpm(this.#socket, signal, 0);
    await this.keep();
  }

  /** Ends the program and removes its state, if the guest never ran here. */
  async undo(signal: AbortSignal): Promise<void> {
    await endSwtpm(this.#socket, signal, 0);
    await unmakeTpmDir(this.#where.guestDir);
  }

  async #means(tpm: TpmSpec): Promise<{ program: string; keyFile: string | undefined }> {
    const { program: configured, keyDir } = this.#options;
    const program = await swtpmProgram(configured);
    if (program === undefined) {
      const what = `swtpm, which serves the TPM ${tpm.id}${configured === undefined ? '' : ` (${configured})`}`;
      const hint = 'Install it there (the package swtpm), or name it as drivers.qemu.tpm.program.';
      throw godwitError('GODWIT_HOST_LACKS', { what }, { hint });
    }
    const name = path.basename(this.#where.guestDir);
    const keyFile = await keyFileOf(keyDir, name);
    if (keyFile === undefined && (tpm.key ?? tpm.migrationKey) !== undefined) {
      const what = `the passphrase of the TPM ${tpm.id}, whose state is encrypted`;
      const hint = `Put ${tpm.migrationKey === undefined ? 'one' : 'that of the source'} into the file ${name} of the directory drivers.qemu.tpm.keyDir there, for root alone to read.`;
      throw godwitError('GODWIT_HOST_LACKS', { what }, { hint });
    }
    return { program, keyFile };
  }

  /** Another swtpm may be using the directory. */
  async #whyTaken(): Promise<void> {
    const own = tpmDirOf(this.#where.guestDir);
    for (const { pid, argv } of await listSwtpm()) {
      const isOurs = argv.some((word) => word.includes(this.#socket));
      const uses = argv.some((word) => word.split(',').some((part) => part.endsWith(`=${own}`)));
      if (!uses || isOurs) continue;
      const what = `a directory of its own for the guest’s TPM: process ${pid} (swtpm) uses ${own}`;
      const hint = 'End the guest whose TPM it serves there, or give that another directory.';
      throw godwitError('GODWIT_HOST_LACKS', { what }, { hint });
    }
  }
}
