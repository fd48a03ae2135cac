import { access, constants, readFile } from 'node:fs/promises';
import path from 'node:path';
import { defined } from '../../protocol/defined.ts';
import type { Platform } from '../../protocol/peer/host-facts.ts';

export interface PlatformPlaces {
  readonly cpuinfo: string;
  readonly dmi: string;
  readonly kvm: string;
}

const PLACES: PlatformPlaces = {
  cpuinfo: '/proc/cpuinfo',
  dmi: '/sys/class/dmi/id',
  kvm: '/dev/kvm',
};

/** Vendor, model or asset tag in the firmware of clouds' machines. */
const CLOUDS: readonly (readonly [RegExp, string])[] = [
  [/Amazon EC2/i, 'Amazon EC2'],
  [/Google Compute Engine/i, 'Google Cloud'],
  // Azure's asset tag; any Hyper-V has its vendor and model.
  [/7783-7084-3265-9085-8269-3286-77/, 'Azure'],
  [/OracleCloud/i, 'Oracle Cloud'],
  [/Alibaba Cloud/i, 'Alibaba Cloud'],
  [/DigitalOcean/i, 'DigitalOcean'],
  [/Hetzner/i, 'Hetzner Cloud'],
  [/Scaleway/i, 'Scaleway'],
  [/Vultr/i, 'Vultr'],
  [/Linode|Akamai/i, 'Linode'],
  [/OpenStack/i, 'an OpenStack cloud'],
];

export async function readPlatform(places: PlatformPlaces = PLACES): Promise<Platform> {
  const dmi = (file: string): Promise<string> => text(path.join(places.dmi, file));
  const [cpuinfo, maker, model, tag, hasKvm] = await Promise.all([
    text(places.cpuinfo),
    dmi('sys_vendor'),
    dmi('product_name'),
    dmi('chassis_asset_tag'),
    access(places.kvm, constants.R_OK | constants.W_OK).then(
      () => true,
      () => false,
    ),
  ]);
  const isVirtual = /^flags\s*:.*\bhypervisor\b/m.test(cpuinfo);
  const cloud = CLOUDS.find(([pattern]) => pattern.test([maker, model, tag].join('\n')))?.[1];
  return {
    isVirtual,
    ...(maker === '' ? {} : { maker: maker.slice(0, 64) }),
    ...(model === '' ? {} : { model: model.slice(0, 64) }),
    ...defined({ cloud }),
    hasKvm,
  };
}

const text = async (file: string): Promise<string> =>
  (await readFile(file, 'utf8').catch(() => '')).trim();
