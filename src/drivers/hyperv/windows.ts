import { godwitError, type GodwitError } from '../../errors.ts';

/** Versions of Windows, as `[Environment]::OSVersion` has them. Pure. */

/** Windows Server 2012 R2, and 2016 to 2025: their Hyper-V has the classes and the cmdlets that this driver asks for. */
const KNOWN = ['6.3', '10.0'];
const MAX_WORDS = 64;

/** GODWIT_MANAGER_VERSION for a Windows that nobody has read about; undefined for one that is known. */
export function unknownWindows(version: string, host: string): GodwitError | undefined {
  const [major = '', minor = ''] = version.split('.');
  if (KNOWN.includes(`${major}.${minor}`)) return undefined;
  const said = version.slice(0, MAX_WORDS) || 'none';
  const what = `Windows ${said}, not one of ${KNOWN.join(', ')}`;
  return godwitError('GODWIT_MANAGER_VERSION', { manager: 'Hyper-V', address: host, what });
}
