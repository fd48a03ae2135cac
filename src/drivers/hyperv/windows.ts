import { godwitError, type GodwitError } from '../../errors.ts';

/** Windows versions in the form of `[Environment]::OSVersion`. Pure. */

/** Windows Server 2012 R2, and 2016 to 2025: their Hyper-V has this driver's classes and cmdlets. */
const KNOWN = ['6.3', '10.0'];
const MAX_WORDS = 64;

/** GODWIT_MANAGER_VERSION for an unknown Windows version; undefined for a known one. */
export function unknownWindows(version: string, host: string): GodwitError | undefined {
  const [major = '', minor = ''] = version.split('.');
  if (KNOWN.includes(`${major}.${minor}`)) return undefined;
  const said = version.slice(0, MAX_WORDS) || 'none';
  const what = `Windows ${said}, not one of ${KNOWN.join(', ')}`;
  return godwitError('GODWIT_MANAGER_VERSION', { manager: 'Hyper-V', address: host, what });
}
