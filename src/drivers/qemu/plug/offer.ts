import { z } from 'zod';
import { deviceId } from '../../../protocol/unplug.ts';

/** Devices that guests may get, from this host's configuration: name -> arguments of QEMU's `device_add`. */

const MAX_OFFERED = 64;
const MAX_PROPERTIES = 64;
/** Properties that need another object, which is not created here, and the id, which is the name. */
const NOT_OFFERED = ['id', 'drive', 'netdev', 'chardev', 'memdev', 'tpmdev', 'iommufd'] as const;

const property = z.union([z.string().max(4096), z.number(), z.boolean()]);
const offered = z
  .object({
    driver: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._,-]{0,127}$/, 'the name of a QEMU device'),
  })
  .catchall(property)
  .refine(
    (props) => NOT_OFFERED.every((name) => !Object.hasOwn(props, name)),
    `a device without ${NOT_OFFERED.join(', ')}`,
  )
  .refine((props) => Object.keys(props).length <= MAX_PROPERTIES, 'too many properties');
export type OfferedDevice = z.infer<typeof offered>;

export const offeredDevices = z
  .record(deviceId, offered)
  .refine((all) => Object.keys(all).length <= MAX_OFFERED, `at most ${MAX_OFFERED} devices`);
export type OfferedDevices = z.infer<typeof offeredDevices>;
