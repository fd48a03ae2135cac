import type { DiskSample } from '../../../../port/disks.ts';
import { godwitError, type GodwitError } from '../../../../errors.ts';
import {
  copyEtaMs,
  judgeCopies,
  lookAt,
  shownPace,
  withLook,
  type CopyPace,
  type DiskDecision,
  type Look,
} from '../../../../migration/steering/disk-pace.ts';
import type { DiskPace, DiskProgress } from '../../../../protocol/disk.ts';
import type { MigrationSettings } from '../../../../protocol/public/migration.ts';
import { formatBytes } from '../../../../protocol/quantity.ts';
import type { MigrationRun } from '../source-base.ts';

/** Maximum remainder of a copy in sync, since the guest continues to write. */
const NEARLY_BYTES = 64 * 1024 ** 2;

export class DiskConvergence {
  #looks: readonly Look[] = [];
  /** Undefined before the attempt. */
  canSlow: boolean | undefined;

  see(disks: readonly DiskSample[], nowMs: number): void {
    this.#looks = withLook(this.#looks, lookAt(disks, nowMs));
  }

  /** Drops the looks, because cut links distort them. */
  forget(): void {
    this.#looks = [];
  }

  decide(settings: MigrationSettings): DiskDecision {
    return judgeCopies(settings, this.#looks, this.canSlow);
  }

  get pace(): DiskPace | undefined {
    const pace = shownPace(this.#looks);
    if (pace === undefined) return undefined;
    const etaMs = copyEtaMs(pace);
    const known = etaMs === undefined ? {} : { etaMs };
    return { rate: pace.copiesPerS, writeRate: pace.writesPerS, ...known };
  }
}

export function progressOf({ node, state, copiedBytes, totalBytes }: DiskSample): DiskProgress {
  return { node, state, copiedBytes, totalBytes };
}

export function isNearlyWhole({ state, copiedBytes, totalBytes }: DiskSample): boolean {
  return state === 'ready' && totalBytes - copiedBytes <= NEARLY_BYTES;
}

export function isInStep({ state, copiedBytes, totalBytes }: DiskSample): boolean {
  return state === 'ready' && copiedBytes === totalBytes;
}

export function failed(
  { request }: Pick<MigrationRun, 'request'>,
  device: string,
  reason: string,
): GodwitError {
  const { guest } = request.request;
  return godwitError('GODWIT_DISK_FAILED', { guest, device, reason });
}

export function busy(
  { request }: Pick<MigrationRun, 'request'>,
  { writesPerS, copiesPerS }: CopyPace,
): GodwitError {
  const { guest } = request.request;
  const figures = { writes: formatBytes(writesPerS), copies: formatBytes(copiesPerS) };
  return godwitError('GODWIT_DISK_BUSY', { guest, ...figures });
}
