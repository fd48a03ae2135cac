import { godwitError } from '../../errors.ts';
import type { Compression, MigrationSettings, Mode } from '../../protocol/public/migration.ts';
import { passes, refuses } from './finding.ts';
import type { Finding } from './finding.ts';

/** What a driver declares that it can. The core asks for these, and never for a driver's name. */
export interface Capabilities {
  /** direct: Godwit owns each step and the data path; managed: a manager moves the memory for us. */
  readonly shape: 'direct' | 'managed';
  readonly modes: readonly Mode[];
  readonly compression: readonly Compression[];
  readonly maxStreams: number;
  /** A broken post-copy stream can be taken up again. */
  readonly postcopyRecovery: boolean;
}

export interface CapabilityFacts {
  /** The guest's; absent where nobody could take hold of it. */
  readonly driver?: { readonly name: string; readonly capabilities: Capabilities } | undefined;
  readonly settings: Pick<MigrationSettings, 'mode' | 'streams' | 'compress' | 'path'>;
}

/** Whether the driver of a guest can do what is asked of it. One finding for each thing that it cannot; else one that passes. */
export function judgeCapabilities({ driver, settings }: CapabilityFacts): Finding[] {
  if (driver === undefined) return [];
  const { mode, streams, compress, path = 'native' } = settings;
  const { shape, modes, compression, maxStreams } = driver.capabilities;
  const lacks: [string, string][] = [];
  if (!modes.includes(mode)) lacks.push([`--mode ${mode}`, `it has ${modes.join(', ')}`]);
  if (!compression.includes(compress)) {
    lacks.push([`--compress ${compress}`, `it has ${compression.join(', ')}`]);
  }
  if (streams > maxStreams) lacks.push([`--streams ${streams}`, `it has ${maxStreams} at most`]);
  if (path === 'wire' && shape === 'managed') {
    lacks.push(['--path wire', 'its manager moves the memory itself']);
  }
  if (lacks.length === 0) return [passes(driver.name)];
  return lacks.map(([what, has]) => {
    const reason = `the driver ${driver.name} cannot: ${has}`;
    return refuses(godwitError('GODWIT_CAPABILITY', { what, reason }));
  });
}
