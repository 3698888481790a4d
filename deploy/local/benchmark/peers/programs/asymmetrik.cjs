// node-fhir-server-core of Asymmetrik with the service that its documentation asks for, stored in PostgreSQL.
//     node asymmetrik.cjs PORT; PEERS_DATABASE_URL names the database.
const { randomUUID } = require('node:crypto');
const { initialize, loggers } = require('@asymmetrik/node-fhir-server-core');
const pg = require('pg');

const pool = new pg.Pool({ connectionString: process.env.PEERS_DATABASE_URL, max: 8 });
const service = {
  create: async (args, { req }) => {
    const id = randomUUID();
    const values = [id, JSON.stringify(req.body)];
    await pool.query({ name: 'store', text: 'INSERT INTO asymmetrik (id, body) VALUES ($1, $2)', values });
    return { id };
  },
};
const table = 'CREATE TABLE IF NOT EXISTS asymmetrik (id uuid PRIMARY KEY, received timestamptz DEFAULT now(), body jsonb)';
pool.query(table).then(() => {
  const server = initialize({
    profiles: { QuestionnaireResponse: { service, versions: ['4_0_1'] } },
    logging: { level: 'error' },
  });
  server.listen(Number(process.argv[2]), '127.0.0.1');
});
