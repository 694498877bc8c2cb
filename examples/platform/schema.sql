-- Two roles with the same rights take turns; neither has a password until a rotation, or an administrator, gives it one.
CREATE ROLE platform NOLOGIN;
CREATE ROLE platform_a LOGIN IN ROLE platform;
CREATE ROLE platform_b LOGIN IN ROLE platform;

CREATE TABLE users (name text PRIMARY KEY, salt bytea NOT NULL, hash bytea NOT NULL);
CREATE TABLE diagrams (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    author text NOT NULL,
    title text NOT NULL,
    body text NOT NULL
);
GRANT SELECT, INSERT ON users, diagrams TO platform;
