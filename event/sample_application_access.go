package event

func sampleApplicationAccess() ApplicationAccess {
	return ApplicationAccess{
		RequestID:              "b7d9e0c4-51f3-4a86-8f0e-2c6f9d1a7e35",
		User:                   `EXAMPLE\pnair`,
		HostName:               "LT-PNAIR-07",
		Reason:                 "Need the driver update for the label printer",
		Action:                 "Elevate",
		Workstyle:              "Engineering, medium flexibility",
		ApplicationType:        "Installer package",
		FilePathObjectID:       `C:\Users\pnair\Downloads\LabelPrinter-4.2.msi`,
		ProductDescription:     "Label Printer Driver 4.2",
		ProductCode:            "{3F2A9C11-7B0D-4E58-9D43-0A6C5E1B8F72}",
		UpgradeCode:            "{A90E1D57-2C6B-4F3A-8E19-5D7B04C2F6A8}",
		ClsID:                  "{5E6B1F90-8C2D-4A37-B1F4-9D0E7A3C6B25}",
		COMDisplayName:         "Printer setup",
		Token:                  "Add Admin",
		TokenAssignmentIsShell: true,
		UACTriggered:           true,
		TrustedOwnership:       false,
		DriveType:              "Fixed disk",
		BtZoneIdentifierExists: true,
		DownloadSourceURL:      "https://downloads.example.com/labelprinter/4.2?lang=en&arch=x64",
		UserLanguage:           "en-GB",
		SHA1Hash:               "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12",
	}
}

func sampleApplicationAccessRequested() Payload {
	return ApplicationAccessRequested{sampleApplicationAccess()}
}

func sampleApplicationAccessDecided() Payload {
	return ApplicationAccessDecided{
		ApplicationAccess: sampleApplicationAccess(),
		Decision:          DecisionApproved,
		DecidedBy:         tomas(),
		DecisionReason:    "Signed by the vendor, fine for today",
	}
}
