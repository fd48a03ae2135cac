/** vSphere privileges that this driver uses, from VMware's documentation. */

export interface Right {
  readonly id: string;
  readonly why: string;
  /** On the vCenter's root folder; otherwise on each datacenter and below. */
  readonly onRoot?: true;
  /** Everything else works without it. */
  readonly isOptional?: true;
}

/** Creates the custom attribute for marks. */
export const MAKES_ATTRIBUTE = 'Global.ManageCustomFields';

export const RIGHTS: readonly Right[] = [
  { id: 'System.View', why: 'to see hosts and guests' },
  { id: 'System.Read', why: 'to read what they are' },
  { id: 'Resource.QueryVMotion', why: 'to have vSphere judge a move' },
  { id: 'Resource.HotMigrate', why: 'to move a guest that runs' },
  { id: 'Global.SetCustomField', why: 'to mark a guest while it moves' },
  { id: MAKES_ATTRIBUTE, why: 'to make the attribute of that mark, once', onRoot: true },
  {
    id: 'Host.Config.Maintenance',
    why: 'to put a host that is drained into maintenance mode',
    isOptional: true,
  },
  { id: 'Resource.AssignVMToPool', why: 'to move a guest to another cluster', isOptional: true },
  {
    id: 'Datastore.AllocateSpace',
    why: 'to move disks to another datastore (--datastore)',
    isOptional: true,
  },
];

export interface ObjectPrivileges {
  readonly name: string;
  readonly isRoot: boolean;
  readonly ids: ReadonlySet<string>;
}
