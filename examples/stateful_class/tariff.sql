-- What a parcel costs, in cents: by zone, up to a weight.
CREATE TABLE tariff (zone TEXT NOT NULL, up_to_kg REAL NOT NULL, cents INTEGER NOT NULL, PRIMARY KEY (zone, up_to_kg));
INSERT INTO tariff VALUES
    ('HOME', 2, 490), ('HOME', 10, 890), ('HOME', 30, 1690),
    ('ABROAD', 2, 1390), ('ABROAD', 10, 2390);
