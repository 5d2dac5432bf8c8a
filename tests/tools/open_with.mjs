// Asks a warehouse with DuckDB's package for Node: node open_with.mjs WAREHOUSE SQL prints rows as JSON. It is started where the package is.
import { createRequire } from "node:module";

const { DuckDBInstance } = createRequire(`${process.cwd()}/`)("@duckdb/node-api");
const [path, sql] = process.argv.slice(2);
const instance = await DuckDBInstance.create(path, { access_mode: "READ_ONLY" });
const connection = await instance.connect();
const rows = (await connection.runAndReadAll(sql)).getRows();
console.log(JSON.stringify(rows.map((row) => row.map(String))));
