import type { Operation, TableName } from '../../plan/nftables/objects.ts';
import type { AttributeWriter } from '../netlink/attributes.ts';
import type { Request } from '../netlink/connection.ts';
import type { Codec } from '../netlink/schema.ts';
import { writeGenericHeader } from '../netlink/transaction.ts';
import { FAMILY_NUMBERS } from './constants.ts';

export type OperationOf<K extends Operation['kind']> = Extract<Operation, { kind: K }>;

/** A netlink message about something in a table. */
export function messageFor<T>(
  table: TableName,
  about: Pick<Request, 'operation' | 'object' | 'type' | 'flags'>,
  schema: Codec<T>,
  values: T,
): Request {
  return {
    ...about,
    object: `${about.object} of table ${table.family} ${table.name}`,
    write(writer: AttributeWriter) {
      writeGenericHeader(writer, FAMILY_NUMBERS[table.family]);
      schema.encode(writer, values);
    },
  };
}
