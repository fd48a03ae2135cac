/** What a server says against a call, with the code of the system's error that comes nearest. Pure. */

const PROBLEMS: Readonly<Record<number, readonly [code: string, what: string]>> = {
  1: ['EPERM', 'only its owner may do that'],
  2: ['ENOENT', 'there is no such file'],
  5: ['EIO', 'the server could not read or write it'],
  13: ['EACCES', 'the server does not allow it'],
  17: ['EEXIST', 'it is there already'],
  20: ['ENOTDIR', 'it is not a directory'],
  28: ['ENOSPC', 'there is no room left'],
  30: ['EROFS', 'the export is read-only'],
  63: ['ENAMETOOLONG', 'its name is too long'],
  69: ['EDQUOT', 'its quota is used up'],
  70: ['ESTALE', 'the server has it no more'],
  10_008: ['EAGAIN', 'the server is not ready for it yet'],
};

export function nfsProblem(status: number, what: 'mount' | 'nfs'): NodeJS.ErrnoException {
  const [code, said] = PROBLEMS[status] ?? ['EIO', `the server says ${status}`];
  const named = what === 'mount' ? `the export cannot be mounted: ${said}` : said;
  return Object.assign(new Error(named), { code });
}
