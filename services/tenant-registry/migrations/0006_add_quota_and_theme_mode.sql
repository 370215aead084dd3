-- Requests in a calendar month; 0 = no limit. Monitoring counts them.
ALTER TABLE registry.plans ADD COLUMN requests_per_month bigint NOT NULL DEFAULT 0 CHECK (requests_per_month >= 0);
ALTER TABLE registry.branding ADD COLUMN theme_mode text NOT NULL DEFAULT 'auto' CHECK (theme_mode IN ('auto', 'light', 'dark'));
