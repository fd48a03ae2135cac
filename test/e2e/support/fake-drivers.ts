/** Loaded before a program of the product, this adds the fake drivers to it. */
import { FAKE_DRIVERS } from '../../../sim/fake/drivers.ts';
import { addDrivers } from '../../../src/drivers/registry.ts';

addDrivers(FAKE_DRIVERS);
