/** Pretended Hyper-V hosts, and what a driver of Godwit's needs to reach them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { HypervDriver } from '../../../src/drivers/hyperv/driver.ts';
import { hypervOptions, type HypervOptions } from '../../../src/drivers/hyperv/options.ts';
import { orderOf } from '../../../src/migration/managed/events.ts';
import type { ManagedOrder } from '../../../src/migration/managed/task-sight.ts';
import { migrationSettings } from '../../../src/protocol/public/migration.ts';
import { serveWinrm, type Winrm } from './server.ts';
import { HypervWorld } from './world.ts';

export class HypervPlace {
  readonly world: HypervWorld;
  readonly dir: string;
  readonly source: Winrm;
  readonly destination: Winrm;

  private constructor(dir: string, world: HypervWorld, source: Winrm, destination: Winrm) {
    this.dir = dir;
    this.world = world;
    this.source = source;
    this.destination = destination;
  }

  static async open(): Promise<HypervPlace> {
    const dir = mkdtempSync(path.join(tmpdir(), 'godwit-hv-'));
    writeFileSync(path.join(dir, 'password'), 'Password\n', { mode: 0o600 });
    const world = new HypervWorld();
    world.host('hv1');
    world.host('hv2');
    const [source, destination] = await Promise.all([
      serveWinrm(world, 'hv1'),
      serveWinrm(world, 'hv2'),
    ]);
    return new HypervPlace(dir, world, source, destination);
  }

  /** `drivers.hyperv` of the configuration of host a. */
  section(more: object = {}): object {
    return {
      url: this.source.url,
      fingerprint: this.source.fingerprint,
      user: String.raw`DOMAIN\User`,
      passwordFile: path.join(this.dir, 'password'),
      hosts: {
        b: { url: this.destination.url, fingerprint: this.destination.fingerprint, name: 'hv2' },
      },
      ...more,
    };
  }

  options(more: object = {}): HypervOptions {
    return hypervOptions.parse(this.section(more));
  }

  driver(more: object = {}): HypervDriver {
    return new HypervDriver('a', this.options(more));
  }

  order(guest: string, id = 'm-00000001'): ManagedOrder {
    const settings = migrationSettings.parse({});
    return orderOf({ id, guest, from: 'a', to: 'b', settings });
  }

  async close(): Promise<void> {
    await Promise.all([this.source.close(), this.destination.close()]);
    rmSync(this.dir, { recursive: true, force: true });
  }
}
