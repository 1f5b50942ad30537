-- What Redshift has and PostgreSQL has not, as functions and views of a schema that is last in the search path: what PostgreSQL
-- has under the same name and types goes first. Of those that mean something else on Redshift, the translation names the schema.
-- [Amazon Redshift Database Developer Guide, "SQL functions reference"]

DO $$
BEGIN
    IF TO_REGTYPE('redshift_catalog.geometry') IS NULL THEN
        CREATE DOMAIN redshift_catalog.geometry AS VARCHAR CHECK (VALUE ~ '^([0-9A-Fa-f]{2})+$');
    END IF;
END
$$;

-- Time. GETDATE() is in the time zone of the session, as there; SYSDATE is the beginning of the transaction.
CREATE OR REPLACE FUNCTION redshift_catalog.getdate() RETURNS TIMESTAMP
LANGUAGE sql STABLE PARALLEL SAFE AS 'SELECT CAST(clock_timestamp() AS TIMESTAMP)';
CREATE OR REPLACE FUNCTION redshift_catalog.sysdate() RETURNS TIMESTAMP
LANGUAGE sql STABLE PARALLEL SAFE AS 'SELECT CAST(transaction_timestamp() AS TIMESTAMP)';

-- n of a date part. A year from a February 29 is a March 1, as there; twelve months are a February 28.
CREATE OR REPLACE FUNCTION redshift_catalog.span(part VARCHAR, n BIGINT) RETURNS INTERVAL
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
SELECT CASE part
    WHEN 'quarter' THEN 3 * n * INTERVAL '1 month'
    WHEN 'decade' THEN 10 * n * INTERVAL '1 year'
    WHEN 'century' THEN 100 * n * INTERVAL '1 year'
    WHEN 'millennium' THEN 1000 * n * INTERVAL '1 year'
    WHEN 'milliseconds' THEN n * INTERVAL '1 millisecond'
    WHEN 'microseconds' THEN n * INTERVAL '1 microsecond'
    ELSE n * CAST('1 ' || part AS INTERVAL)
END
$$;
CREATE OR REPLACE FUNCTION redshift_catalog.date_add(part VARCHAR, n BIGINT, value TIMESTAMP) RETURNS TIMESTAMP
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
SELECT value + redshift_catalog.span(part, n) + CASE
    WHEN part IN ('year', 'decade', 'century', 'millennium') AND to_char(value, 'MMDD') = '0229'
        AND to_char(value + redshift_catalog.span(part, n), 'MMDD') = '0228'
    THEN INTERVAL '1 day' ELSE INTERVAL '0' END
$$;
CREATE OR REPLACE FUNCTION redshift_catalog.date_add(part VARCHAR, n BIGINT, value DATE) RETURNS TIMESTAMP
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT redshift_catalog.date_add(part, n, CAST(value AS TIMESTAMP))';
CREATE OR REPLACE FUNCTION redshift_catalog.date_add(part VARCHAR, n BIGINT, value TIMESTAMPTZ) RETURNS TIMESTAMPTZ
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS 'SELECT CAST(redshift_catalog.date_add(part, n, CAST(value AS TIMESTAMP)) AS TIMESTAMPTZ)';
CREATE OR REPLACE FUNCTION redshift_catalog.date_add(part VARCHAR, n BIGINT, value TIME) RETURNS TIME
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT value + redshift_catalog.span(part, n)';
CREATE OR REPLACE FUNCTION redshift_catalog.date_add(part VARCHAR, n BIGINT, value TIMETZ) RETURNS TIMETZ
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT value + redshift_catalog.span(part, n)';

CREATE OR REPLACE FUNCTION redshift_catalog.date_add(part VARCHAR, n BIGINT, value VARCHAR) RETURNS TIMESTAMP
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS 'SELECT redshift_catalog.date_add(part, n, CAST(value AS TIMESTAMP))';

-- How many beginnings of a part lie between two times. Weeks begin on Sunday here, though date_trunc begins them on Monday.
CREATE OR REPLACE FUNCTION redshift_catalog.date_diff(part VARCHAR, earlier TIMESTAMP, later TIMESTAMP) RETURNS BIGINT
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
SELECT CAST(CASE part
    WHEN 'year' THEN date_part('year', later) - date_part('year', earlier)
    WHEN 'quarter' THEN 4 * (date_part('year', later) - date_part('year', earlier)) + date_part('quarter', later) - date_part('quarter', earlier)
    WHEN 'month' THEN 12 * (date_part('year', later) - date_part('year', earlier)) + date_part('month', later) - date_part('month', earlier)
    WHEN 'week' THEN (CAST(date_trunc('week', later + INTERVAL '1 day') AS DATE) - CAST(date_trunc('week', earlier + INTERVAL '1 day') AS DATE)) / 7
    WHEN 'day' THEN CAST(later AS DATE) - CAST(earlier AS DATE)
    WHEN 'hour' THEN EXTRACT(EPOCH FROM date_trunc('hour', later) - date_trunc('hour', earlier)) / 3600
    WHEN 'minute' THEN EXTRACT(EPOCH FROM date_trunc('minute', later) - date_trunc('minute', earlier)) / 60
    WHEN 'second' THEN EXTRACT(EPOCH FROM date_trunc('second', later) - date_trunc('second', earlier))
    WHEN 'milliseconds' THEN EXTRACT(EPOCH FROM date_trunc('milliseconds', later) - date_trunc('milliseconds', earlier)) * 1000
    WHEN 'microseconds' THEN EXTRACT(EPOCH FROM later - earlier) * 1000000
    -- The first decade begins in the year 1, as the first century does, and the second in the year 10.
    WHEN 'decade' THEN date_part('decade', later) - date_part('decade', earlier)
    WHEN 'century' THEN date_part('century', later) - date_part('century', earlier)
    WHEN 'millennium' THEN date_part('millennium', later) - date_part('millennium', earlier)
END AS BIGINT)
$$;
CREATE OR REPLACE FUNCTION redshift_catalog.date_diff(part VARCHAR, earlier DATE, later DATE) RETURNS BIGINT
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT redshift_catalog.date_diff(part, CAST(earlier AS TIMESTAMP), CAST(later AS TIMESTAMP))';
CREATE OR REPLACE FUNCTION redshift_catalog.date_diff(part VARCHAR, earlier TIMESTAMPTZ, later TIMESTAMPTZ) RETURNS BIGINT
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS 'SELECT redshift_catalog.date_diff(part, earlier AT TIME ZONE ''UTC'', later AT TIME ZONE ''UTC'')';
CREATE OR REPLACE FUNCTION redshift_catalog.date_diff(part VARCHAR, earlier TIME, later TIME) RETURNS BIGINT
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT redshift_catalog.date_diff(part, DATE ''2000-01-01'' + earlier, DATE ''2000-01-01'' + later)';
CREATE OR REPLACE FUNCTION redshift_catalog.date_diff(part VARCHAR, earlier TIMETZ, later TIMETZ) RETURNS BIGINT
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
SELECT redshift_catalog.date_diff(part, CAST(earlier AT TIME ZONE 'UTC' AS TIME), CAST(later AT TIME ZONE 'UTC' AS TIME))
$$;

CREATE OR REPLACE FUNCTION redshift_catalog.date_diff(part VARCHAR, earlier VARCHAR, later VARCHAR) RETURNS BIGINT
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS 'SELECT redshift_catalog.date_diff(part, CAST(earlier AS TIMESTAMP), CAST(later AS TIMESTAMP))';

-- EXTRACT gives whole numbers of the part alone; DATE_PART gives the seconds with their fractions.
CREATE OR REPLACE FUNCTION redshift_catalog.part_of(part VARCHAR, whole DOUBLE PRECISION) RETURNS BIGINT
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
SELECT CAST(FLOOR(CASE part WHEN 'milliseconds' THEN MOD(CAST(whole AS NUMERIC), 1000)
    WHEN 'microseconds' THEN MOD(CAST(whole AS NUMERIC), 1000)
    WHEN 'decade' THEN CAST(whole AS NUMERIC) + 1 ELSE CAST(whole AS NUMERIC) END) AS BIGINT)
$$;
CREATE OR REPLACE FUNCTION redshift_catalog.date_part(part VARCHAR, value TIMESTAMP) RETURNS BIGINT
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT redshift_catalog.part_of(part, pg_catalog.date_part(part, value))';
CREATE OR REPLACE FUNCTION redshift_catalog.date_part(part VARCHAR, value DATE) RETURNS BIGINT
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT redshift_catalog.part_of(part, pg_catalog.date_part(part, CAST(value AS TIMESTAMP)))';
CREATE OR REPLACE FUNCTION redshift_catalog.date_part(part VARCHAR, value TIME) RETURNS BIGINT
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT redshift_catalog.part_of(part, pg_catalog.date_part(part, value))';
CREATE OR REPLACE FUNCTION redshift_catalog.date_part(part VARCHAR, value TIMETZ) RETURNS BIGINT
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT redshift_catalog.part_of(part, pg_catalog.date_part(part, value))';
CREATE OR REPLACE FUNCTION redshift_catalog.date_part(part VARCHAR, value INTERVAL) RETURNS BIGINT
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT redshift_catalog.part_of(part, pg_catalog.date_part(part, value))';
CREATE OR REPLACE FUNCTION redshift_catalog.date_part(part VARCHAR, value TIMESTAMPTZ) RETURNS DOUBLE PRECISION
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $$
SELECT CASE part WHEN 'epoch' THEN pg_catalog.date_part(part, value)
    ELSE CAST(redshift_catalog.part_of(part, pg_catalog.date_part(part, value)) AS DOUBLE PRECISION) END
$$;
CREATE OR REPLACE FUNCTION redshift_catalog.pgdate_part(part VARCHAR, value TIMESTAMP) RETURNS DOUBLE PRECISION
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT pg_catalog.date_part(part, value) + CASE part WHEN ''decade'' THEN 1 ELSE 0 END';
CREATE OR REPLACE FUNCTION redshift_catalog.pgdate_part(part VARCHAR, value TIMESTAMPTZ) RETURNS DOUBLE PRECISION
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS 'SELECT pg_catalog.date_part(part, value) + CASE part WHEN ''decade'' THEN 1 ELSE 0 END';
CREATE OR REPLACE FUNCTION redshift_catalog.pgdate_part(part VARCHAR, value DATE) RETURNS DOUBLE PRECISION
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT pg_catalog.date_part(part, value) + CASE part WHEN ''decade'' THEN 1 ELSE 0 END';
CREATE OR REPLACE FUNCTION redshift_catalog.pgdate_part(part VARCHAR, value TIME) RETURNS DOUBLE PRECISION
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT pg_catalog.date_part(part, value) + CASE part WHEN ''decade'' THEN 1 ELSE 0 END';
CREATE OR REPLACE FUNCTION redshift_catalog.pgdate_part(part VARCHAR, value TIMETZ) RETURNS DOUBLE PRECISION
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT pg_catalog.date_part(part, value) + CASE part WHEN ''decade'' THEN 1 ELSE 0 END';
CREATE OR REPLACE FUNCTION redshift_catalog.pgdate_part(part VARCHAR, value INTERVAL) RETURNS DOUBLE PRECISION
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT pg_catalog.date_part(part, value) + CASE part WHEN ''decade'' THEN 1 ELSE 0 END';
CREATE OR REPLACE FUNCTION redshift_catalog.date_part_year(value DATE) RETURNS INTEGER
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT CAST(pg_catalog.date_part(''year'', value) AS INTEGER)';
-- Of a date it is a TIMESTAMP there; PostgreSQL makes a TIMESTAMPTZ of it.
CREATE OR REPLACE FUNCTION redshift_catalog.date_trunc(part VARCHAR, value DATE) RETURNS TIMESTAMP
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT pg_catalog.date_trunc(part, CAST(value AS TIMESTAMP))';
CREATE OR REPLACE FUNCTION redshift_catalog.date_trunc(part VARCHAR, value TIMESTAMP) RETURNS TIMESTAMP
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT pg_catalog.date_trunc(part, value)';
CREATE OR REPLACE FUNCTION redshift_catalog.date_trunc(part VARCHAR, value TIMESTAMPTZ) RETURNS TIMESTAMPTZ
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS 'SELECT pg_catalog.date_trunc(part, value)';
CREATE OR REPLACE FUNCTION redshift_catalog.trunc(value TIMESTAMP) RETURNS DATE
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT CAST(value AS DATE)';
CREATE OR REPLACE FUNCTION redshift_catalog.last_day(value TIMESTAMP) RETURNS DATE
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
SELECT CAST(pg_catalog.date_trunc('month', value) + INTERVAL '1 month' - INTERVAL '1 day' AS DATE)
$$;
CREATE OR REPLACE FUNCTION redshift_catalog.next_day(value TIMESTAMP, day VARCHAR) RETURNS DATE
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    -- Each day by its name or as much of it as tells it from the others.
    wanted INTEGER := array_position(ARRAY['su', 'm', 'tu', 'w', 'th', 'f', 'sa'],
        (SELECT p FROM unnest(ARRAY['su', 'm', 'tu', 'w', 'th', 'f', 'sa']) p WHERE lower(day) LIKE p || '%')) - 1;
BEGIN
    IF wanted IS NULL THEN
        RAISE EXCEPTION 'Invalid day: %', day;
    END IF;
    RETURN CAST(value AS DATE) + 1 + CAST(mod(6 + wanted - CAST(pg_catalog.date_part('dow', value) AS INTEGER), 7) AS INTEGER);
END
$$;
CREATE OR REPLACE FUNCTION redshift_catalog.add_months(value TIMESTAMP, n BIGINT) RETURNS TIMESTAMP
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
SELECT CASE WHEN CAST(value AS DATE) = redshift_catalog.last_day(value)
    THEN redshift_catalog.last_day(value + n * INTERVAL '1 month') + CAST(value AS TIME)
    ELSE value + n * INTERVAL '1 month' END
$$;
CREATE OR REPLACE FUNCTION redshift_catalog.months_between(one TIMESTAMP, other TIMESTAMP) RETURNS DOUBLE PRECISION
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
SELECT CAST(redshift_catalog.date_diff('month', other, one) AS DOUBLE PRECISION) + CASE
    WHEN date_part('day', one) = date_part('day', other)
        OR (CAST(one AS DATE) = redshift_catalog.last_day(one) AND CAST(other AS DATE) = redshift_catalog.last_day(other)) THEN 0
    ELSE (date_part('day', one) - date_part('day', other)
        + (EXTRACT(EPOCH FROM CAST(one AS TIME)) - EXTRACT(EPOCH FROM CAST(other AS TIME))) / 86400) / 31 END
$$;
CREATE OR REPLACE FUNCTION redshift_catalog.convert_timezone(source VARCHAR, target VARCHAR, value TIMESTAMP) RETURNS TIMESTAMP
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS 'SELECT value AT TIME ZONE source AT TIME ZONE target';
CREATE OR REPLACE FUNCTION redshift_catalog.convert_timezone(target VARCHAR, value TIMESTAMP) RETURNS TIMESTAMP
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS 'SELECT value AT TIME ZONE ''UTC'' AT TIME ZONE target';
CREATE OR REPLACE FUNCTION redshift_catalog.date_cmp(one DATE, other DATE) RETURNS INTEGER
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT CASE WHEN one < other THEN -1 WHEN one > other THEN 1 ELSE 0 END';
CREATE OR REPLACE FUNCTION redshift_catalog.timestamp_cmp(one TIMESTAMP, other TIMESTAMP) RETURNS INTEGER
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT CASE WHEN one < other THEN -1 WHEN one > other THEN 1 ELSE 0 END';
CREATE OR REPLACE FUNCTION redshift_catalog.interval_cmp(one INTERVAL, other INTERVAL) RETURNS INTEGER
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT CASE WHEN one < other THEN -1 WHEN one > other THEN 1 ELSE 0 END';

-- Text. A CHAR comes without its trailing blanks, as its length there is.
CREATE OR REPLACE FUNCTION redshift_catalog.len(value VARCHAR) RETURNS INTEGER
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT length(value)';
CREATE OR REPLACE FUNCTION redshift_catalog.len(value BYTEA) RETURNS INTEGER
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT length(value)';
CREATE OR REPLACE FUNCTION redshift_catalog.textlen(value VARCHAR) RETURNS INTEGER
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT length(value)';
CREATE OR REPLACE FUNCTION redshift_catalog.charindex(part VARCHAR, value VARCHAR) RETURNS INTEGER
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT strpos(value, part)';
CREATE OR REPLACE FUNCTION redshift_catalog.replicate(value VARCHAR, n INTEGER) RETURNS VARCHAR
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT repeat(value, n)';
-- NULL if one of them is; PostgreSQL's leaves NULLs out.
CREATE OR REPLACE FUNCTION redshift_catalog.concat(one ANYELEMENT, other ANYELEMENT) RETURNS VARCHAR
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT CAST(one AS VARCHAR) || CAST(other AS VARCHAR)';
CREATE OR REPLACE FUNCTION redshift_catalog.concat(one VARCHAR, other VARCHAR) RETURNS VARCHAR
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT one || other';
CREATE OR REPLACE FUNCTION redshift_catalog.concat(one BYTEA, other BYTEA) RETURNS BYTEA
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT one || other';
CREATE OR REPLACE FUNCTION redshift_catalog.concat(one ANYELEMENT, other VARCHAR) RETURNS VARCHAR
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT CAST(one AS VARCHAR) || other';
CREATE OR REPLACE FUNCTION redshift_catalog.concat(one VARCHAR, other ANYELEMENT) RETURNS VARCHAR
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT one || CAST(other AS VARCHAR)';
-- Of all matches; PostgreSQL's takes the first. $1 is there what \1 is here.
CREATE OR REPLACE FUNCTION redshift_catalog.regexp_replace(value VARCHAR, pattern VARCHAR, replacement VARCHAR = '', start INTEGER = 1, flags VARCHAR = 'c')
RETURNS VARCHAR LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
SELECT pg_catalog.regexp_replace(value, pattern,
    pg_catalog.regexp_replace(replace(replacement, '\', '\\'), '\$([0-9])', '\\\1', 'g'), GREATEST(start, 1), 0, replace(flags, 'p', ''))
$$;
CREATE OR REPLACE FUNCTION redshift_catalog.regexp_substr(value VARCHAR, pattern VARCHAR, start INTEGER = 1, occurrence INTEGER = 1, flags VARCHAR = 'c')
RETURNS VARCHAR LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
SELECT COALESCE(pg_catalog.regexp_substr(value, pattern, GREATEST(start, 1), occurrence, replace(replace(flags, 'p', ''), 'e', ''),
    CASE WHEN flags LIKE '%e%' AND pattern LIKE '%(%' THEN 1 ELSE 0 END), '')
$$;
CREATE OR REPLACE FUNCTION redshift_catalog.regexp_count(value VARCHAR, pattern VARCHAR, start INTEGER = 1, flags VARCHAR = 'c')
RETURNS INTEGER LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
SELECT pg_catalog.regexp_count(value, pattern, GREATEST(start, 1), replace(flags, 'p', ''))
$$;
CREATE OR REPLACE FUNCTION redshift_catalog.regexp_instr(value VARCHAR, pattern VARCHAR, start INTEGER = 1, occurrence INTEGER = 1, after INTEGER = 0, flags VARCHAR = 'c')
RETURNS INTEGER LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
SELECT pg_catalog.regexp_instr(value, pattern, GREATEST(start, 1), occurrence, CASE after WHEN 0 THEN 0 ELSE 1 END,
    replace(replace(flags, 'p', ''), 'e', ''), CASE WHEN flags LIKE '%e%' AND pattern LIKE '%(%' THEN 1 ELSE 0 END)
$$;
CREATE OR REPLACE FUNCTION redshift_catalog.strtol(value VARCHAR, base INTEGER) RETURNS BIGINT
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    digits CONSTANT VARCHAR := '0123456789abcdefghijklmnopqrstuvwxyz';
    rest VARCHAR := lower(trim(value));
    negative BOOLEAN := rest LIKE '-%';
    sum NUMERIC := 0;
    digit INTEGER;
BEGIN
    IF base < 2 OR base > 36 THEN
        RAISE EXCEPTION 'The base must be between 2 and 36, not %', base;
    END IF;
    rest := ltrim(rest, '+-');
    IF base = 16 AND rest LIKE '0x%' THEN
        rest := substr(rest, 3);
    END IF;
    FOR place IN 1 .. length(rest) LOOP
        digit := strpos(left(digits, base), substr(rest, place, 1)) - 1;
        IF digit < 0 THEN
            RAISE EXCEPTION 'The input % is not valid to be converted to base %', value, base;
        END IF;
        sum := sum * base + digit;
    END LOOP;
    RETURN CAST(CASE WHEN negative THEN -sum ELSE sum END AS BIGINT);
END
$$;
CREATE OR REPLACE FUNCTION redshift_catalog.sha2(value VARCHAR, bits INTEGER) RETURNS VARCHAR
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
SELECT encode(CASE bits WHEN 0 THEN sha256(convert_to(value, 'UTF8')) WHEN 224 THEN sha224(convert_to(value, 'UTF8'))
    WHEN 256 THEN sha256(convert_to(value, 'UTF8')) WHEN 384 THEN sha384(convert_to(value, 'UTF8'))
    WHEN 512 THEN sha512(convert_to(value, 'UTF8')) END, 'hex')
$$;
CREATE OR REPLACE FUNCTION redshift_catalog.to_varbyte(value VARCHAR, format VARCHAR) RETURNS BYTEA
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
SELECT CASE lower(format) WHEN 'utf8' THEN convert_to(value, 'UTF8') WHEN 'utf-8' THEN convert_to(value, 'UTF8')
    WHEN 'hex' THEN pg_catalog.decode(value, 'hex') WHEN 'base64' THEN pg_catalog.decode(value, 'base64') END
$$;
CREATE OR REPLACE FUNCTION redshift_catalog.from_varbyte(value BYTEA, format VARCHAR) RETURNS VARCHAR
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
SELECT CASE lower(format) WHEN 'utf8' THEN convert_from(value, 'UTF8') WHEN 'utf-8' THEN convert_from(value, 'UTF8')
    WHEN 'hex' THEN encode(value, 'hex') WHEN 'base64' THEN encode(value, 'base64') END
$$;
CREATE OR REPLACE FUNCTION redshift_catalog.from_hex(value VARCHAR) RETURNS BYTEA
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT pg_catalog.decode(value, ''hex'')';
CREATE OR REPLACE FUNCTION redshift_catalog.to_hex(value BYTEA) RETURNS VARCHAR
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT encode(value, ''hex'')';

-- Numbers.
CREATE OR REPLACE FUNCTION redshift_catalog.round(value DOUBLE PRECISION, places INTEGER) RETURNS DOUBLE PRECISION
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT CAST(pg_catalog.round(CAST(value AS NUMERIC), places) AS DOUBLE PRECISION)';
CREATE OR REPLACE FUNCTION redshift_catalog.trunc(value DOUBLE PRECISION, places INTEGER) RETURNS DOUBLE PRECISION
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT CAST(pg_catalog.trunc(CAST(value AS NUMERIC), places) AS DOUBLE PRECISION)';
CREATE OR REPLACE FUNCTION redshift_catalog.dexp(value DOUBLE PRECISION) RETURNS DOUBLE PRECISION
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT exp(value)';
CREATE OR REPLACE FUNCTION redshift_catalog.dlog1(value DOUBLE PRECISION) RETURNS DOUBLE PRECISION
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT ln(value)';
CREATE OR REPLACE FUNCTION redshift_catalog.dlog10(value DOUBLE PRECISION) RETURNS DOUBLE PRECISION
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT log(value)';

-- Hashes: numbers of as many bits as there, other ones, but as good.
CREATE OR REPLACE FUNCTION redshift_catalog.fnv_hash(value BIGINT, seed BIGINT = 0) RETURNS BIGINT
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT hashint8extended($1, $2)';
CREATE OR REPLACE FUNCTION redshift_catalog.fnv_hash(value INTEGER, seed BIGINT = 0) RETURNS BIGINT
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT hashint4extended($1, $2)';
CREATE OR REPLACE FUNCTION redshift_catalog.fnv_hash(value VARCHAR, seed BIGINT = 0) RETURNS BIGINT
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT hashtextextended($1, $2)';
-- Its own hash of a numeric does not know the sign.
CREATE OR REPLACE FUNCTION redshift_catalog.fnv_hash(value DECIMAL, seed BIGINT = 0) RETURNS BIGINT
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT hash_numeric_extended($1, $2 # CAST(SIGN($1) AS BIGINT))';
CREATE OR REPLACE FUNCTION redshift_catalog.fnv_hash(value DOUBLE PRECISION, seed BIGINT = 0) RETURNS BIGINT
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT hashfloat8extended($1, $2)';
CREATE OR REPLACE FUNCTION redshift_catalog.fnv_hash(value TIMESTAMP, seed BIGINT = 0) RETURNS BIGINT
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT timestamp_hash_extended($1, $2)';
CREATE OR REPLACE FUNCTION redshift_catalog.farmfingerprint64(value VARCHAR) RETURNS BIGINT
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT hashtextextended($1, 0)';
CREATE OR REPLACE FUNCTION redshift_catalog.checksum(value BIGINT) RETURNS INTEGER
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT hashint8($1)';
CREATE OR REPLACE FUNCTION redshift_catalog.checksum(value VARCHAR) RETURNS INTEGER
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT hashtext($1)';

-- Aggregates. The average of whole numbers is one there.
CREATE OR REPLACE FUNCTION redshift_catalog.avg_step(state NUMERIC[], value BIGINT) RETURNS NUMERIC[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT CASE WHEN value IS NULL THEN state ELSE ARRAY[state[1] + 1, state[2] + value] END';
CREATE OR REPLACE FUNCTION redshift_catalog.avg_end(state NUMERIC[]) RETURNS BIGINT
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT CAST(TRUNC(state[2] / NULLIF(state[1], 0)) AS BIGINT)';
CREATE OR REPLACE AGGREGATE redshift_catalog.avg(BIGINT) (SFUNC = redshift_catalog.avg_step, STYPE = NUMERIC[], INITCOND = '{0,0}', FINALFUNC = redshift_catalog.avg_end);
CREATE OR REPLACE FUNCTION redshift_catalog.avg_end(state BIGINT[]) RETURNS BIGINT
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT state[2] / NULLIF(state[1], 0)';
CREATE OR REPLACE AGGREGATE redshift_catalog.avg(INTEGER) (SFUNC = int4_avg_accum, STYPE = BIGINT[], INITCOND = '{0,0}', FINALFUNC = redshift_catalog.avg_end);
CREATE OR REPLACE AGGREGATE redshift_catalog.avg(SMALLINT) (SFUNC = int2_avg_accum, STYPE = BIGINT[], INITCOND = '{0,0}', FINALFUNC = redshift_catalog.avg_end);
CREATE OR REPLACE AGGREGATE redshift_catalog.avg(NUMERIC) (SFUNC = numeric_avg_accum, STYPE = INTERNAL, FINALFUNC = numeric_avg);
CREATE OR REPLACE AGGREGATE redshift_catalog.avg(REAL) (SFUNC = float4_accum, STYPE = DOUBLE PRECISION[], INITCOND = '{0,0,0}', FINALFUNC = float8_avg);
CREATE OR REPLACE AGGREGATE redshift_catalog.avg(DOUBLE PRECISION) (SFUNC = float8_accum, STYPE = DOUBLE PRECISION[], INITCOND = '{0,0,0}', FINALFUNC = float8_avg);

CREATE OR REPLACE FUNCTION redshift_catalog.listagg_step(state TEXT, value ANYELEMENT, delimiter TEXT) RETURNS TEXT
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT CASE WHEN value IS NULL THEN state WHEN state IS NULL THEN CAST(value AS TEXT)
    ELSE state || COALESCE(delimiter, '') || CAST(value AS TEXT) END
$$;
CREATE OR REPLACE FUNCTION redshift_catalog.listagg_step(state TEXT, value ANYELEMENT) RETURNS TEXT
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT CASE WHEN value IS NULL THEN state ELSE COALESCE(state, '''') || CAST(value AS TEXT) END';
CREATE OR REPLACE FUNCTION redshift_catalog.listagg_end(state TEXT) RETURNS VARCHAR
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF octet_length(state) > 65535 THEN
        RAISE EXCEPTION 'Result size exceeds LISTAGG limit' USING DETAIL = 'limit: 65535';
    END IF;
    RETURN state;
END
$$;
CREATE OR REPLACE AGGREGATE redshift_catalog.listagg(ANYELEMENT, TEXT) (SFUNC = redshift_catalog.listagg_step, STYPE = TEXT, FINALFUNC = redshift_catalog.listagg_end);
CREATE OR REPLACE AGGREGATE redshift_catalog.listagg(ANYELEMENT) (SFUNC = redshift_catalog.listagg_step, STYPE = TEXT, FINALFUNC = redshift_catalog.listagg_end);

CREATE OR REPLACE FUNCTION redshift_catalog.median_end(state NUMERIC[]) RETURNS NUMERIC
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT TRIM_SCALE(AVG(v)) FROM (
    SELECT v, ROW_NUMBER() OVER (ORDER BY v) AS place, COUNT(*) OVER () AS all_of_them FROM unnest(state) v
) places WHERE place IN ((all_of_them + 1) / 2, all_of_them / 2 + 1)
$$;
CREATE OR REPLACE FUNCTION redshift_catalog.median_step(state NUMERIC[], value NUMERIC) RETURNS NUMERIC[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT CASE WHEN value IS NULL THEN state ELSE array_append(state, value) END';
CREATE OR REPLACE AGGREGATE redshift_catalog.median(NUMERIC) (SFUNC = redshift_catalog.median_step, STYPE = NUMERIC[], FINALFUNC = redshift_catalog.median_end);
CREATE OR REPLACE FUNCTION redshift_catalog.median_step(state NUMERIC[], value SMALLINT) RETURNS NUMERIC[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT CASE WHEN value IS NULL THEN state ELSE array_append(state, CAST(value AS NUMERIC)) END';
CREATE OR REPLACE AGGREGATE redshift_catalog.median(SMALLINT) (SFUNC = redshift_catalog.median_step, STYPE = NUMERIC[], FINALFUNC = redshift_catalog.median_end);
CREATE OR REPLACE FUNCTION redshift_catalog.median_step(state NUMERIC[], value INTEGER) RETURNS NUMERIC[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT CASE WHEN value IS NULL THEN state ELSE array_append(state, CAST(value AS NUMERIC)) END';
CREATE OR REPLACE AGGREGATE redshift_catalog.median(INTEGER) (SFUNC = redshift_catalog.median_step, STYPE = NUMERIC[], FINALFUNC = redshift_catalog.median_end);
CREATE OR REPLACE FUNCTION redshift_catalog.median_step(state NUMERIC[], value BIGINT) RETURNS NUMERIC[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT CASE WHEN value IS NULL THEN state ELSE array_append(state, CAST(value AS NUMERIC)) END';
CREATE OR REPLACE AGGREGATE redshift_catalog.median(BIGINT) (SFUNC = redshift_catalog.median_step, STYPE = NUMERIC[], FINALFUNC = redshift_catalog.median_end);
CREATE OR REPLACE FUNCTION redshift_catalog.median_end(state DOUBLE PRECISION[]) RETURNS DOUBLE PRECISION
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT AVG(v) FROM (
    SELECT v, ROW_NUMBER() OVER (ORDER BY v) AS place, COUNT(*) OVER () AS all_of_them FROM unnest(state) v
) places WHERE place IN ((all_of_them + 1) / 2, all_of_them / 2 + 1)
$$;
CREATE OR REPLACE FUNCTION redshift_catalog.median_step(state DOUBLE PRECISION[], value DOUBLE PRECISION) RETURNS DOUBLE PRECISION[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT CASE WHEN value IS NULL THEN state ELSE array_append(state, value) END';
CREATE OR REPLACE AGGREGATE redshift_catalog.median(DOUBLE PRECISION) (SFUNC = redshift_catalog.median_step, STYPE = DOUBLE PRECISION[], FINALFUNC = redshift_catalog.median_end);

-- SUPER is JSONB.
CREATE OR REPLACE FUNCTION redshift_catalog.json_parse(value VARCHAR) RETURNS JSONB
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT CAST(value AS JSONB)';
CREATE OR REPLACE FUNCTION redshift_catalog.json_serialize(value JSONB) RETURNS VARCHAR
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT pg_catalog.regexp_replace(CAST(value AS TEXT), '("(?:[^"\\]|\\.)*")|([:,]) ', '\1\2', 'g')
$$;
CREATE OR REPLACE FUNCTION redshift_catalog.is_valid_json(value VARCHAR) RETURNS BOOLEAN
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN jsonb_typeof(CAST(value AS JSONB)) = 'object';
EXCEPTION WHEN OTHERS THEN
    RETURN FALSE;
END
$$;
CREATE OR REPLACE FUNCTION redshift_catalog.is_valid_json_array(value VARCHAR) RETURNS BOOLEAN
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN jsonb_typeof(CAST(value AS JSONB)) = 'array';
EXCEPTION WHEN OTHERS THEN
    RETURN FALSE;
END
$$;
CREATE OR REPLACE FUNCTION redshift_catalog.json_extract_path_text(value VARCHAR, VARIADIC path VARCHAR[]) RETURNS VARCHAR
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT CAST(value AS JSONB) #>> path';
CREATE OR REPLACE FUNCTION redshift_catalog.json_extract_array_element_text(value VARCHAR, n INTEGER) RETURNS VARCHAR
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT CAST(value AS JSONB) ->> n';
CREATE OR REPLACE FUNCTION redshift_catalog.json_array_length(value VARCHAR) RETURNS INTEGER
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT jsonb_array_length(CAST(value AS JSONB))';
CREATE OR REPLACE FUNCTION redshift_catalog.get_array_length(value JSONB) RETURNS INTEGER
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT jsonb_array_length(value)';

-- LOCK outside of a transaction, as there: PostgreSQL refuses it.
CREATE OR REPLACE PROCEDURE redshift_catalog.lock_tables(VARIADIC tables REGCLASS[]) LANGUAGE plpgsql AS $$
DECLARE
    name REGCLASS;
BEGIN
    FOREACH name IN ARRAY tables LOOP
        EXECUTE 'LOCK TABLE ' || CAST(name AS VARCHAR);
    END LOOP;
END
$$;
-- What a MERGE of Redshift checks: no row of the target may have several in the source.
CREATE OR REPLACE FUNCTION redshift_catalog.one_match(matches BIGINT) RETURNS BOOLEAN
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF matches > 1 THEN
        RAISE EXCEPTION 'Found multiple matches to update the same tuple.';
    END IF;
    RETURN TRUE;
END
$$;

-- Tables: the columns that a clause names must be there. A sort key makes what Redshift has of itself: the smallest and the largest
-- value of each block of each column. BRIN is PostgreSQL's; 128 pages are 1 MB, a block there.
CREATE OR REPLACE PROCEDURE redshift_catalog.check_columns(of_table REGCLASS, columns VARCHAR[], keyword VARCHAR) LANGUAGE plpgsql AS $$
DECLARE
    missing VARCHAR;
BEGIN
    SELECT c INTO missing FROM unnest(columns) c WHERE NOT EXISTS (
        SELECT 1 FROM pg_attribute a WHERE a.attrelid = of_table AND a.attnum > 0 AND NOT a.attisdropped AND LOWER(a.attname) = LOWER(c)
    );
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION 'column "%" named as % does not exist', missing, keyword USING ERRCODE = 'undefined_column';
    END IF;
END
$$;
CREATE OR REPLACE PROCEDURE redshift_catalog.zone_map(of_table REGCLASS) LANGUAGE plpgsql AS $$
DECLARE
    map VARCHAR;
    home VARCHAR;
    columns VARCHAR;
BEGIN
    SELECT LEFT(c.relname, 54) || '_zone_map', n.nspname INTO map, home
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = of_table;
    SELECT STRING_AGG(QUOTE_IDENT(attname), ', ' ORDER BY attnum) INTO columns FROM (
        SELECT attname, attnum FROM pg_attribute
        WHERE attrelid = of_table AND attnum > 0 AND NOT attisdropped AND atttypid IN (
            'int2'::REGTYPE, 'int4'::REGTYPE, 'int8'::REGTYPE, 'float4'::REGTYPE, 'float8'::REGTYPE, 'numeric'::REGTYPE,
            'date'::REGTYPE, 'time'::REGTYPE, 'timetz'::REGTYPE, 'timestamp'::REGTYPE, 'timestamptz'::REGTYPE,
            'varchar'::REGTYPE, 'text'::REGTYPE, 'bpchar'::REGTYPE
        ) ORDER BY attnum LIMIT 32
    ) mapped;
    IF columns IS NOT NULL THEN
        EXECUTE FORMAT('DROP INDEX IF EXISTS %I.%I', home, map);
        EXECUTE FORMAT('CREATE INDEX %I ON %s USING brin (%s) WITH (pages_per_range = 128)', map, of_table, columns);
    END IF;
END
$$;

-- What a COPY and an UNLOAD of this session leave behind.
CREATE OR REPLACE FUNCTION redshift_catalog.pg_last_copy_count() RETURNS BIGINT LANGUAGE sql STABLE AS
$$ SELECT CAST(COALESCE(NULLIF(current_setting('redshift_catalog.last_copy_count', TRUE), ''), '0') AS BIGINT) $$;
CREATE OR REPLACE FUNCTION redshift_catalog.pg_last_unload_count() RETURNS BIGINT LANGUAGE sql STABLE AS
$$ SELECT CAST(COALESCE(NULLIF(current_setting('redshift_catalog.last_unload_count', TRUE), ''), '0') AS BIGINT) $$;

-- External tables: what CREATE EXTERNAL ... said. The rows lie in a plain table of the same name, and come from the folder that stands
-- for the bucket, if there is one.
CREATE TABLE IF NOT EXISTS redshift_catalog.external_schemas (
    schemaname VARCHAR PRIMARY KEY, databasename VARCHAR, esoptions VARCHAR
);
CREATE TABLE IF NOT EXISTS redshift_catalog.external_tables (
    place OID PRIMARY KEY, format VARCHAR NOT NULL, location VARCHAR NOT NULL, keys INTEGER NOT NULL,
    delimiter VARCHAR, quote VARCHAR, header INTEGER NOT NULL, loaded VARCHAR
);
CREATE TABLE IF NOT EXISTS redshift_catalog.external_partitions (
    place OID NOT NULL, key_values VARCHAR[] NOT NULL, location VARCHAR NOT NULL, PRIMARY KEY (place, key_values)
);
CREATE OR REPLACE PROCEDURE redshift_catalog.external_schema(name VARCHAR, of_database VARCHAR, options VARCHAR)
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO redshift_catalog.external_schemas VALUES (name, of_database, options)
    ON CONFLICT (schemaname) DO UPDATE SET databasename = of_database, esoptions = options;
END
$$;
CREATE OR REPLACE PROCEDURE redshift_catalog.external_table(
    of_table REGCLASS, format VARCHAR, location VARCHAR, keys INTEGER, delimiter VARCHAR, quote VARCHAR, header INTEGER
) LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM redshift_catalog.external_schemas e JOIN pg_namespace n ON n.nspname = e.schemaname
        JOIN pg_class c ON c.relnamespace = n.oid WHERE c.oid = of_table
    ) THEN
        RAISE EXCEPTION 'An external table can only be created in an external schema';
    END IF;
    DELETE FROM redshift_catalog.external_tables WHERE place = of_table;
    DELETE FROM redshift_catalog.external_partitions WHERE place = of_table;
    INSERT INTO redshift_catalog.external_tables VALUES (of_table, format, location, keys, delimiter, quote, header);
END
$$;
CREATE OR REPLACE PROCEDURE redshift_catalog.add_partition(of_table REGCLASS, names VARCHAR[], new_values VARCHAR[], location VARCHAR, if_not_exists BOOLEAN)
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    known VARCHAR[];
    in_order VARCHAR[];
BEGIN
    SELECT ARRAY_AGG(CAST(a.attname AS VARCHAR) ORDER BY a.attnum) INTO known
    FROM redshift_catalog.external_tables e JOIN pg_attribute a ON a.attrelid = e.place AND a.attnum > 0 AND NOT a.attisdropped
    WHERE e.place = of_table AND a.attnum > (SELECT MAX(attnum) FROM pg_attribute WHERE attrelid = of_table) - e.keys;
    SELECT ARRAY_AGG(new_values[array_position(names, k)] ORDER BY array_position(known, k)) INTO in_order FROM unnest(known) k;
    IF known IS NULL OR NOT (known @> names AND names @> known) THEN
        RAISE EXCEPTION 'The partition keys of % are (%), not (%)', of_table, COALESCE(ARRAY_TO_STRING(known, ', '), ''), ARRAY_TO_STRING(names, ', ');
    END IF;
    IF EXISTS (SELECT 1 FROM redshift_catalog.external_partitions WHERE place = of_table AND key_values = in_order) THEN
        IF if_not_exists THEN
            RETURN;
        END IF;
        RAISE EXCEPTION 'Partition already exists.';
    END IF;
    INSERT INTO redshift_catalog.external_partitions VALUES (of_table, in_order, location);
END
$$;
CREATE OR REPLACE PROCEDURE redshift_catalog.drop_partition(of_table REGCLASS, names VARCHAR[], old_values VARCHAR[])
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    in_order VARCHAR[];
BEGIN
    SELECT ARRAY_AGG(old_values[array_position(names, CAST(a.attname AS VARCHAR))] ORDER BY a.attnum) INTO in_order
    FROM redshift_catalog.external_tables e JOIN pg_attribute a ON a.attrelid = e.place AND a.attnum > 0 AND NOT a.attisdropped
    WHERE e.place = of_table AND a.attnum > (SELECT MAX(attnum) FROM pg_attribute WHERE attrelid = of_table) - e.keys;
    DELETE FROM redshift_catalog.external_partitions WHERE place = of_table AND key_values = in_order;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'Partition not found.';
    END IF;
END
$$;

CREATE OR REPLACE VIEW redshift_catalog.svv_external_schemas AS
SELECT CAST(n.oid AS BIGINT) AS esoid, 1 AS eskind, e.schemaname, CAST(n.nspowner AS INTEGER) AS esowner, e.databasename, e.esoptions
FROM redshift_catalog.external_schemas e JOIN pg_namespace n ON n.nspname = e.schemaname;
CREATE OR REPLACE VIEW redshift_catalog.svv_external_tables AS
SELECT CAST(n.nspname AS VARCHAR) AS schemaname, CAST(c.relname AS VARCHAR) AS tablename, e.location, e.format AS input_format
FROM redshift_catalog.external_tables e JOIN pg_class c ON c.oid = e.place JOIN pg_namespace n ON n.oid = c.relnamespace;
CREATE OR REPLACE VIEW redshift_catalog.svv_external_columns AS
SELECT CAST(n.nspname AS VARCHAR) AS schemaname, CAST(c.relname AS VARCHAR) AS tablename, CAST(a.attname AS VARCHAR) AS columnname,
    CAST(REPLACE(REPLACE(REPLACE(REPLACE(FORMAT_TYPE(a.atttypid, a.atttypmod),
        'character varying', 'varchar'), 'numeric', 'decimal'), 'integer', 'int'), ' without time zone', '') AS VARCHAR) AS external_type,
    CAST(ROW_NUMBER() OVER (PARTITION BY c.oid ORDER BY a.attnum) AS INTEGER) AS columnnum,
    CAST(GREATEST(0, e.keys - COUNT(*) OVER (PARTITION BY c.oid) + ROW_NUMBER() OVER (PARTITION BY c.oid ORDER BY a.attnum)) AS INTEGER) AS part_key
FROM redshift_catalog.external_tables e JOIN pg_class c ON c.oid = e.place JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid WHERE a.attnum > 0 AND NOT a.attisdropped;
CREATE OR REPLACE VIEW redshift_catalog.svv_external_partitions AS
SELECT CAST(n.nspname AS VARCHAR) AS schemaname, CAST(c.relname AS VARCHAR) AS tablename,
    CAST(TO_JSON(p.key_values) AS VARCHAR) AS values, p.location
FROM redshift_catalog.external_partitions p JOIN pg_class c ON c.oid = p.place JOIN pg_namespace n ON n.oid = c.relnamespace;

-- What tools ask a warehouse for.
CREATE OR REPLACE VIEW redshift_catalog.pg_table_def AS
SELECT n.nspname AS schemaname, c.relname AS tablename, a.attname AS "column", FORMAT_TYPE(a.atttypid, a.atttypmod) AS type,
    CAST('none' AS VARCHAR) AS encoding, FALSE AS distkey, 0 AS sortkey, a.attnotnull AS notnull
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped AND n.nspname = ANY (current_schemas(FALSE));
CREATE OR REPLACE VIEW redshift_catalog.svv_table_info AS
SELECT CAST(current_database() AS VARCHAR) AS database, CAST(n.nspname AS VARCHAR) AS schema, c.oid AS table_id,
    CAST(c.relname AS VARCHAR) AS "table", CAST('AUTO(EVEN)' AS VARCHAR) AS diststyle,
    CAST(CEIL(pg_table_size(c.oid) / 1048576.0) AS BIGINT) AS size, CAST(GREATEST(c.reltuples, 0) AS NUMERIC(38, 0)) AS tbl_rows
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'redshift_catalog', 'pg_toast');

GRANT USAGE ON SCHEMA redshift_catalog TO PUBLIC;
GRANT SELECT ON ALL TABLES IN SCHEMA redshift_catalog TO PUBLIC;
