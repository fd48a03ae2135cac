import { maker, type DriverEntry } from '../../src/drivers/registry.ts';

/** Drivers that the product does not have: a pretended manager at a unix socket. */
export const FAKE_DRIVERS: Readonly<Record<string, DriverEntry>> = {
  fake: {
    onlyConfigured: true,
    load: async () => {
      const { RemoteManagedDriver, remoteOptions } = await import('./remote.ts');
      return maker('fake', remoteOptions, ({ name }, own) => new RemoteManagedDriver(name, own));
    },
  },
};
